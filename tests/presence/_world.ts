/** Nodes with presence, and a network between them that does what a seed makes of it. */

import { decodePresenceHead } from "../../codec/mod.ts";
import { Core, type Texts, type Tracked } from "../../presence/_core.ts";
import { LIMITS } from "../../presence/_limits.ts";
import { Random } from "../../testing/mod.ts";
import { Schedule } from "./_schedule.ts";

/** Something has happened that must not. */
export class Violation extends Error {
  override readonly name = "Violation";
}

export const HEARTBEAT_MS = 500;
export const TIMEOUT_MS = 5_000;
const ROOMS = ["lobby", "部屋", "🎉"];
const IDS = ["ann", "bob", "cid", "dan", "eva"];

/** What a seed makes of a world. */
export interface Plan {
  readonly kind: "mesh" | "broker";
  readonly size: number;
  readonly maxDelayMs: number;
  readonly lossShare: number;
  readonly duplicateShare: number;
  readonly changeEveryMs: number;
  readonly faultEveryMs: number;
  readonly maxMessageBytes: number;
  /** Nothing but freezes, or but lost messages: so everything has to be as it was. */
  readonly faults: "all" | "freezes" | "losses";
  /** Sockets of a site. */
  readonly maxTracked: number;
  /** When the mesh gives up on a node that does not answer. */
  readonly detectMs: number;
}

export function makePlan(random: Random): Plan {
  const kind = random.pick(["mesh", "broker"] as const);
  return {
    kind,
    size: random.pick([2, 2, 3, 3, 4, 5, 8]),
    maxDelayMs: random.pick([0, 5, 40]),
    lossShare: random.pick([0, 0, 0.02, 0.3]),
    duplicateShare: random.pick([0, 0, 0.1]),
    changeEveryMs: random.pick([20, 100, 400]),
    faultEveryMs: random.pick([300, 1_000, 3_000]),
    maxMessageBytes: random.pick([200, 400, 1_000_000]),
    faults: random.chance(0.75) ? "all" : random.pick(["freezes", "losses"] as const),
    maxTracked: random.pick([8, 25]),
    detectMs: random.pick([500, 2_000]),
  };
}

/** A `Presence` but for its timers and its rooms. */
export class Site {
  readonly core: Core;
  readonly id: string;
  readonly node: Node;
  /** Who is where, by the events. */
  readonly told = new Map<string, Set<string>>();
  readonly tracked: { tracked: Tracked; texts: Texts }[] = [];
  /** Its entries after each change, as one text. */
  readonly history: string[] = [""];
  /** Where in the history of each other it has been seen to be. */
  readonly seen = new Map<string, number>();
  /** Sites that it dropped when their node went down, and that it has not heard since. */
  readonly down = new Set<string>();
  snapshots = 0;
  #armedAt = Infinity;
  #count = 0;

  constructor(world: World, node: Node) {
    this.node = node;
    this.id = Array.from(world.random.bytes(8), (byte) => byte.toString(16).padStart(2, "0")).join(
      "",
    );
    this.core = new Core({
      instance: this.id,
      node: node.id,
      maxMessageBytes: world.plan.maxMessageBytes,
      heartbeatIntervalMs: HEARTBEAT_MS,
      timeoutMs: TIMEOUT_MS,
      limits: LIMITS,
      random: () => world.random.fraction(),
      send: (message) => {
        if (message[0] === 1 && isFirstPart(message)) this.snapshots++;
        world.send(this, message);
      },
      onError: (error) => {
        throw error;
      },
      joined: (room, id) => this.#joined(room, id),
      left: (room, id) => this.#left(room, id),
    }, world.schedule.now);
  }

  /** What this site says of itself, as one text. */
  get own(): string {
    return this.history[this.history.length - 1];
  }

  change(random: Random, maxTracked: number, now: number): void {
    const at = random.integer(0, maxTracked - 1);
    const existing = this.tracked[at];
    const roll = random.fraction();
    if (existing !== undefined && roll < 0.45) {
      this.tracked.splice(at, 1);
      this.core.untrack(existing.tracked, now);
    } else {
      const room = existing?.texts.room ?? random.pick(ROOMS);
      const id = existing && random.chance(0.3) ? existing.texts.id : random.pick(IDS);
      const texts = { room, id, meta: JSON.stringify(`${this.id} ${this.#count++}`) };
      if (existing !== undefined) {
        existing.texts = texts;
        this.core.track(existing.tracked, texts, now);
      } else {
        const tracked = this.core.newTracked();
        this.tracked.push({ tracked, texts });
        this.core.check(texts);
        this.core.track(tracked, texts, now);
      }
    }
    this.history.push(asText(this.tracked.map(({ texts }) => texts)));
  }

  /** Has the world call `step` when it is due. */
  arm(world: World): void {
    const { dueAt } = this.core;
    if (dueAt >= this.#armedAt || dueAt === Infinity) return;
    this.#armedAt = dueAt;
    world.schedule.at(dueAt, () => {
      if (this.#armedAt !== dueAt) return;
      this.node.run("timer", () => {
        this.#armedAt = Infinity;
        if (this.core.hasPending) this.core.flush(world.schedule.now);
        this.core.step(world.schedule.now);
      });
    });
  }

  #joined(room: string, id: string): void {
    const ids = this.told.get(room) ?? new Set();
    check(!ids.has(id), () => `${id} joins ${room} again without having left`);
    this.told.set(room, ids.add(id));
    check(this.core.roster.has(room, id), () => `${id} joins ${room}, but is not in its list`);
    check(this.core.roster.count(room) === ids.size, () => `${room} is counted wrongly`);
  }

  #left(room: string, id: string): void {
    const ids = this.told.get(room);
    check(ids?.delete(id) ?? false, () => `${id} leaves ${room} without having joined`);
    check(!this.core.roster.has(room, id), () => `${id} leaves ${room}, but is in its list`);
    check(this.core.roster.count(room) === ids?.size, () => `${room} is counted wrongly`);
  }

  /** Events, counts and lists say the same at any time. */
  checkLists(): void {
    const { roster } = this.core;
    let total = 0;
    for (const room of ROOMS) {
      const told = [...this.told.get(room) ?? []].sort().join();
      const list = roster.list(room);
      const listed = list.map(({ id }) => id).sort().join();
      check(told === listed, () => `${room}: events tell of ${told}, the list of ${listed}`);
      check(roster.count(room) === list.length, () => `${room}: ${roster.count(room)} are counted`);
      for (const id of IDS) {
        check(roster.has(room, id) === list.some((one) => one.id === id), () => `has ${id}`);
      }
      check(list.every(({ metas }) => metas.length > 0), "an id without an entry");
      total += list.length;
    }
    check(roster.idCount === total, () => `${roster.idCount} ids are counted, ${total} listed`);
  }

  /** The entries of each site, as this one sees them. */
  views(): Map<string, string> {
    const views = new Map<string, Texts[]>();
    for (const room of ROOMS) {
      for (const { id, metas } of this.core.roster.list(room)) {
        for (const meta of metas) {
          const owner = meta.slice(1, 17);
          views.set(owner, [...views.get(owner) ?? [], { room, id, meta }]);
        }
      }
    }
    return new Map([...views].map(([owner, texts]) => [owner, asText(texts)]));
  }
}

/** A process on a host. Started again, it is another. */
export class Node {
  readonly host: string;
  readonly id: string;
  readonly sites: Site[] = [];
  state: "running" | "frozen" | "dead" = "running";
  /** Broker: cut off from it. */
  isCut = false;
  /** What each of its sites knew when it was frozen: other sites, each at a place in its history. */
  known = new Map<Site, Map<string, number>>();
  /** Until when others may have taken it for dead. */
  troubleUntil = 0;
  /** Until when it may take others for dead. */
  cutUntil = 0;
  readonly #waiting: { what: "timer" | "message"; act: () => void }[] = [];
  readonly #world: World;

  constructor(world: World, host: string, id: string) {
    this.#world = world;
    this.host = host;
    this.id = id;
  }

  /** Runs something on this node, or when it wakes. */
  run(what: "timer" | "message", act: () => void): void {
    if (this.state === "dead") return;
    if (this.state === "frozen") {
      this.#waiting.push({ what, act });
      return;
    }
    act();
    this.#world.after(this);
  }

  /** All that has waited comes at once: timers before or after messages. */
  wake(timersFirst: boolean): void {
    this.state = "running";
    const waiting = this.#waiting.splice(0);
    const order = timersFirst ? ["timer", "message"] : ["message", "timer"];
    for (const turn of order) {
      for (const { what, act } of waiting) if (what === turn) this.run(what, act);
    }
  }
}

/** What is between two nodes. */
interface Pair {
  isUp: boolean;
  isBlocked: boolean;
  /** Counts links: what is on its way when one ends is lost. */
  epoch: number;
  readonly stalled: (() => void)[];
}

export class World {
  readonly schedule = new Schedule();
  readonly random: Random;
  readonly plan: Plan;
  readonly log: string[] = [];
  readonly nodes = new Map<string, Node>();
  /** Every site that there has ever been. */
  readonly sites = new Map<string, Site>();
  isLossy = true;
  isBusy = true;
  faults = 0;
  changes = 0;
  messages = 0;
  /** More checks, which take time. */
  readonly #pairs = new Map<string, Pair>();
  readonly #lastAt = new Map<string, number>();
  #incarnation = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.plan = makePlan(this.random);
  }

  get running(): Node[] {
    return [...this.nodes.values()].filter(({ state }) => state === "running");
  }

  say(line: string): void {
    this.log.push(`${this.schedule.now.toFixed(1).padStart(9)}  ${line}`);
  }

  start(host: string): void {
    const node = new Node(this, host, `${host}#${this.#incarnation++}`);
    this.say(`start ${node.id}`);
    for (const other of this.nodes.values()) {
      if (other.state === "dead") continue;
      const pair: Pair = { isUp: false, isBlocked: false, epoch: 0, stalled: [] };
      this.#pairs.set(pairKey(node, other), pair);
      this.schedule.after(this.random.between(0, 100), () => this.#connect(node, other));
    }
    this.nodes.set(host, node);
    const sites = this.random.chance(0.15) ? 2 : 1;
    for (let i = 0; i < sites; i++) {
      const site = new Site(this, node);
      node.sites.push(site);
      this.sites.set(site.id, site);
      const begin = () => {
        site.core.start(this.schedule.now);
      };
      this.schedule.after(this.random.between(0, 150), () => node.run("timer", begin));
    }
    this.after(node);
  }

  /** After anything has run on a node. */
  after(node: Node): void {
    if (node.state !== "running") return;
    for (const site of node.sites) {
      site.arm(this);
      if (this.random.chance(0.03)) this.checkViews(site);
    }
  }

  /** What a site sees of another has been true once, and does not go back in time. */
  checkViews(site: Site): void {
    site.checkLists();
    const views = site.views();
    check((views.get(site.id) ?? "") === site.own, "a site does not see itself as it is");
    for (const id of site.seen.keys()) if (!views.has(id)) site.seen.delete(id);
    for (const [id, view] of views) {
      const other = this.sites.get(id);
      if (other === site) continue;
      check(other !== undefined, "a site that there is not");
      check(
        !site.down.has(other.id),
        () => `${site.node.id} sees ${other.node.id}, which went down, without having heard of it`,
      );
      const at = other.history.indexOf(view, site.seen.get(other.id) ?? 0);
      check(
        at >= 0,
        () =>
          `${site.node.id} sees of ${other.node.id} ${view}, which is not as it was after change ` +
          `${site.seen.get(other.id) ?? 0}`,
      );
      site.seen.set(other.id, at);
    }
  }

  beginChanges(): void {
    const next = () => {
      this.schedule.after(this.random.between(0, 2 * this.plan.changeEveryMs), () => {
        if (!this.isBusy) return;
        this.changeOne();
        next();
      });
    };
    next();
  }

  changeOne(): void {
    if (this.running.length === 0) return;
    const node = this.random.pick(this.running);
    const site = this.random.pick(node.sites);
    for (let left = this.random.pick([1, 1, 1, 2, 5]); left > 0; left--) {
      this.changes++;
      site.change(this.random, this.plan.maxTracked, this.schedule.now);
    }
    // The end of the turn.
    this.schedule.after(0, () => node.run("timer", () => site.core.flush(this.schedule.now)));
    this.after(node);
  }

  send(site: Site, message: Uint8Array): void {
    const { node } = site;
    const { schedule, random, plan } = this;
    // Some brokers give a publisher its own messages as well.
    if (plan.kind === "broker" && random.chance(0.1)) {
      schedule.after(1, () => node.run("message", () => this.#deliver(site, node, site, message)));
    }
    check(message.length <= plan.maxMessageBytes, () => `a message of ${message.length} bytes`);
    this.messages++;
    // Others on the same node hear it before `send` returns.
    for (const sibling of node.sites) {
      if (sibling !== site) this.#deliver(sibling, node, site, message);
    }
    if (node.isCut) return;
    for (const other of this.nodes.values()) {
      if (other === node || other.state === "dead") continue;
      const key = pairKey(node, other);
      const pair = this.#pairs.get(key);
      if (pair === undefined || (plan.kind === "mesh" && !pair.isUp)) continue;
      if (this.isLossy && random.chance(plan.lossShare)) {
        this.say(`lost ${node.id} → ${other.id}: ${KINDS[message[0]]}`);
        if (plan.kind === "mesh" && random.chance(0.7)) this.#missed(other);
        continue;
      }
      const { epoch } = pair;
      const deliver = () => {
        if (pair.epoch !== epoch || other.isCut) return;
        if (pair.isBlocked) {
          // TCP waits and tries again; a broker's subscriber hears nothing.
          if (plan.kind === "mesh") pair.stalled.push(deliver);
          return;
        }
        const times = this.isLossy && random.chance(plan.duplicateShare) ? 2 : 1;
        for (let i = 0; i < times; i++) {
          other.run("message", () => {
            for (const receiver of other.sites) this.#deliver(receiver, node, site, message);
          });
        }
      };
      const direction = `${node.id} ${other.id}`;
      const at = Math.max(
        schedule.now + random.between(0, plan.maxDelayMs),
        this.#lastAt.get(direction) ?? 0,
      );
      this.#lastAt.set(direction, at);
      schedule.at(at, deliver);
    }
  }

  #deliver(receiver: Site, from: Node, site: Site, message: Uint8Array): void {
    receiver.down.delete(site.id);
    // The bytes are lent for the call, and something else afterwards.
    const lent = message.slice();
    const isNamed = this.plan.kind === "mesh" || from === receiver.node;
    receiver.core.receive(lent, isNamed ? from.id : undefined, this.schedule.now);
    lent.fill(0xff);
    receiver.arm(this);
  }

  #missed(node: Node): void {
    this.schedule.after(this.random.between(0, 50), () =>
      node.run("message", () => {
        for (const site of node.sites) site.core.missed(this.schedule.now);
      }));
  }

  #connect(a: Node, b: Node): void {
    const pair = this.#pairs.get(pairKey(a, b));
    if (pair === undefined || pair.isUp || pair.isBlocked) return;
    if (a.state !== "running" || b.state !== "running") return;
    const isFirst = pair.epoch === 0;
    pair.isUp = true;
    // The mesh reports `missed` when a lost link is up again, on both sides.
    if (this.plan.kind === "mesh" && !isFirst) { for (const node of [a, b]) this.#missed(node); }
  }

  /** The link of two nodes ends, and those of them that are awake find out. */
  #disconnect(a: Node, b: Node): void {
    const pair = this.#pairs.get(pairKey(a, b));
    if (pair === undefined || !pair.isUp) return;
    pair.isUp = false;
    pair.epoch++;
    pair.stalled.length = 0;
    for (const [node, other] of [[a, b], [b, a]]) {
      node.run("message", () => {
        for (const site of node.sites) {
          site.core.nodeDown(other.id);
          for (const gone of other.sites) site.down.add(gone.id);
          this.checkViews(site);
        }
      });
    }
  }

  /** Links that are down and could be up are made again. */
  #reconnect(): void {
    const nodes = [...this.nodes.values()];
    for (const [i, a] of nodes.entries()) {
      for (const b of nodes.slice(0, i)) {
        const pair = this.#pairs.get(pairKey(a, b));
        if (pair === undefined || pair.isUp || pair.isBlocked) continue;
        this.schedule.after(this.random.between(0, 200), () => this.#connect(a, b));
      }
    }
  }

  beginFaults(): void {
    const next = () => {
      this.schedule.after(this.random.between(0, 2 * this.plan.faultEveryMs), () => {
        if (!this.isBusy) return;
        this.#fault();
        next();
      });
    };
    next();
  }

  #fault(): void {
    const { random, schedule, plan } = this;
    this.faults++;
    const hosts = random.shuffled([...this.nodes.keys()]);
    const node = this.nodes.get(hosts[0]);
    if (node === undefined) return;
    const longMs = random.pick([100, plan.detectMs, 3 * plan.detectMs, 2 * TIMEOUT_MS]);
    if (plan.faults === "losses") return;
    const fault = plan.faults === "freezes" ? "freeze" : random.pick([
      ...["kill", "kill", "leave", "freeze", "freeze"],
      ...["cut", "cut", "replace"],
    ]);
    if (fault === "kill" && node.state !== "dead") {
      this.kill(node);
      schedule.after(random.between(0, longMs), () => this.revive(node.host));
    } else if (fault === "leave" && node.state === "running") {
      this.say(`leave ${node.id}`);
      for (const site of node.sites) site.core.end(schedule.now);
      this.kill(node);
      schedule.after(random.between(0, longMs), () => this.revive(node.host));
    } else if (fault === "freeze" && node.state === "running") {
      this.freeze(node, random.between(0.2, 1.2) * longMs);
    } else if (fault === "cut" && plan.kind === "broker" && !node.isCut) {
      this.cut(node, longMs);
    } else if (fault === "cut") {
      this.partition(hosts.slice(0, random.integer(1, Math.max(1, hosts.length - 1))), longMs);
    } else if (fault === "replace" && plan.kind === "mesh") {
      const other = this.nodes.get(hosts[1]);
      const pair = other && this.#pairs.get(pairKey(node, other));
      if (other === undefined || pair === undefined || !pair.isUp) return;
      this.say(`the link between ${node.id} and ${other.id} is replaced`);
      pair.epoch++;
      for (const one of [node, other]) this.#missed(one);
    }
  }

  kill(node: Node): void {
    this.say(`kill ${node.id}`);
    node.state = "dead";
    if (this.plan.kind === "broker") return;
    for (const other of this.nodes.values()) if (other !== node) this.#disconnect(node, other);
  }

  revive(host: string): void {
    if (this.nodes.get(host)?.state === "dead") this.start(host);
  }

  freeze(node: Node, ms: number): void {
    this.say(`freeze ${node.id} for ${ms.toFixed(0)} ms`);
    node.state = "frozen";
    node.known = new Map(node.sites.map((site) => [site, this.#positions(site)]));
    const { detectMs, kind } = this.plan;
    if (kind === "mesh") {
      this.schedule.after(detectMs, () => {
        if (node.state !== "frozen") return;
        for (const other of this.nodes.values()) if (other !== node) this.#disconnect(node, other);
      });
    }
    this.schedule.after(ms, () => {
      if (node.state !== "frozen") return;
      this.say(`wake ${node.id}`);
      this.wake(node);
      this.#reconnect();
    });
  }

  /** A node that was frozen has not heard the others, and must not take them for dead. */
  wake(node: Node): void {
    node.wake(this.random.chance(0.5));
    this.after(node);
    this.#trouble(node);
    if (this.plan.kind === "mesh") return;
    for (const [site, known] of node.known) {
      const views = site.views();
      for (const [id, at] of known) {
        const other = this.sites.get(id);
        if (other === undefined || other.node.state !== "running" || views.has(id)) continue;
        if (this.schedule.now < Math.max(other.node.troubleUntil, node.cutUntil)) continue;
        if (other.history.includes("", at)) continue;
        throw new Violation(`${node.id} wakes, and drops ${other.node.id}`);
      }
    }
  }

  #positions(site: Site): Map<string, number> {
    const positions = new Map<string, number>();
    for (const [id, view] of site.views()) {
      const at = this.sites.get(id)?.history.indexOf(view, site.seen.get(id) ?? 0) ?? -1;
      if (at >= 0 && id !== site.id) positions.set(id, at);
    }
    return positions;
  }

  #trouble(node: Node): void {
    node.troubleUntil = this.schedule.now + 2 * TIMEOUT_MS;
  }

  cut(node: Node, ms: number): void {
    this.say(`cut ${node.id} off the broker for ${ms} ms`);
    node.isCut = true;
    for (const one of this.nodes.values()) one.cutUntil = this.schedule.now + ms + 2 * TIMEOUT_MS;
    this.schedule.after(ms, () => {
      this.say(`${node.id} reaches the broker again`);
      node.isCut = false;
      this.#missed(node);
    });
  }

  partition(hosts: string[], ms: number): void {
    this.say(`partition ${hosts.join()} for ${ms} ms`);
    for (const one of this.nodes.values()) one.cutUntil = this.schedule.now + ms + 2 * TIMEOUT_MS;
    const sides = [...this.nodes.values()];
    const left = sides.filter(({ host }) => hosts.includes(host));
    const right = sides.filter(({ host }) => !hosts.includes(host));
    for (const a of left) {
      for (const b of right) {
        const pair = this.#pairs.get(pairKey(a, b));
        if (pair === undefined || pair.isBlocked) continue;
        pair.isBlocked = true;
        this.schedule.after(this.random.between(0.5, 1) * this.plan.detectMs, () => {
          if (pair.isBlocked) this.#disconnect(a, b);
        });
        this.schedule.after(ms, () => {
          pair.isBlocked = false;
          for (const deliver of pair.stalled.splice(0)) deliver();
          this.#reconnect();
        });
      }
    }
  }

  /** Everything that has failed works again; what is dead is started. */
  heal(): void {
    this.say("heal");
    for (const pair of this.#pairs.values()) {
      pair.isBlocked = false;
      for (const deliver of pair.stalled.splice(0)) deliver();
    }
    for (const node of this.nodes.values()) {
      if (node.isCut) this.#missed(node);
      node.isCut = false;
      if (node.state === "frozen") this.wake(node);
      else if (node.state === "dead") this.start(node.host);
    }
    this.#reconnect();
  }

  /** Everybody sees everybody as they are. `exactly`: and nobody else. */
  checkAgreement(exactly: boolean): void {
    const living = this.running.flatMap(({ sites }) => sites);
    for (const site of living) {
      this.checkViews(site);
      const views = site.views();
      for (const other of living) {
        const view = views.get(other.id) ?? "";
        check(
          view === other.own,
          () => `${site.node.id} sees of ${other.node.id} "${view}", which is "${other.own}"`,
        );
        views.delete(other.id);
      }
      check(
        !exactly || views.size === 0,
        () => `${site.node.id} sees ghosts: ${[...views.values()]}`,
      );
      if (exactly) {
        check(
          site.core.instanceCount === living.length - 1,
          () => `${site.node.id} knows ${site.core.instanceCount} others of ${living.length - 1}`,
        );
        const others = living.filter((other) => other !== site);
        const entries = others.reduce((sum, { tracked }) => sum + tracked.length, 0);
        check(site.core.remoteEntryCount === entries, "entries are miscounted");
      }
    }
  }
}

function isFirstPart(snapshot: Uint8Array): boolean {
  const head = decodePresenceHead(snapshot);
  return head.kind === "snapshot" && head.part === 0;
}

const KINDS = ["", "snapshot", "changes", "heartbeat", "ask", "gone"];

function pairKey(a: Node, b: Node): string {
  return a.id < b.id ? `${a.id} ${b.id}` : `${b.id} ${a.id}`;
}

function asText(texts: readonly Texts[]): string {
  return texts.map(({ room, id, meta }) => `${room}/${id}/${meta.slice(18, -1)}`).sort().join(" ");
}

function check(condition: boolean, what: string | (() => string)): asserts condition {
  if (!condition) throw new Violation(typeof what === "string" ? what : what());
}
