/** The processes of a soak, and what they have told of so far. */

import { freePort } from "../cluster/_process.ts";
import { disagreements, type Life } from "./_account.ts";
import { Child } from "./_child.ts";
import { CLIENTS_BACK_MS, COMPLETE_MS, PROCESS_MS } from "./_limits.ts";
import type { LinkRecord } from "./_link_book.ts";
import {
  type ClientsLine,
  type Command,
  type Memory,
  type NodeLine,
  type NodeReport,
  now,
  type Occupants,
  type StalledLine,
} from "./_protocol.ts";

/** How long nothing must change for all to be quiet. */
const SETTLE_MS = 500;

type AnyChild = Child<NodeLine> | Child<ClientsLine> | Child<StalledLine>;

/** Something that does not hold, or does not come in time. */
export class Violation extends Error {
  override name = "Violation";
}

/** A life of a node, and its process. */
export interface RunningLife extends Life {
  /** Empty until it listens. */
  incarnation: string;
  readonly node: number;
  readonly child: Child<NodeLine>;
  listeningAt: number;
  port: number;
  readonly memory: Memory[];
  report?: NodeReport;
  /** Who is present in each room, when it was asked. */
  occupied?: Readonly<Record<string, Occupants>>;
  /** The last report that was asked for and has come. */
  reportId: number;
  leavingAt?: number;
  hasLeft: boolean;
  /** How often clients that do not read have been closed, and have gone. */
  poured: number;
  freed: number;
  /** When all its clients were connected. */
  clientsAt?: number;
}

/** What the clients have told of. */
export interface ClientsReport {
  readonly memory: Memory[];
  readonly closed: { readonly life: string; readonly code: number; readonly count: number }[];
  readonly gaps: { readonly life: string; readonly sender: string; readonly count: number }[];
  /** Clients whose room was disconnected, and those of them that are back. */
  expelled: number;
  returned: number;
  isQuiet: boolean;
  done?: Extract<ClientsLine, { type: "done" }>;
}

/** What the clients that do not read have told of. */
export interface StalledReport {
  /** How often such clients have connected. */
  connected: number;
  readonly woken: { readonly closed: number; readonly cut: number }[];
}

/** See the file's head. */
export class SoakCluster implements AsyncDisposable {
  readonly names: readonly string[];
  /** All lives so far, those that have ended included. */
  readonly lives: RunningLife[] = [];
  /** The lives that run, by the index of the node. */
  readonly nodes: RunningLife[] = [];
  readonly clients: ClientsReport = {
    memory: [],
    closed: [],
    gaps: [],
    expelled: 0,
    returned: 0,
    isQuiet: false,
  };
  readonly stalled: StalledReport = { connected: 0, woken: [] };
  /** How many clients there are. */
  clientCount = 0;
  /** What the processes have found wrong themselves. */
  readonly violations: string[] = [];

  readonly #sampleMs: number;
  readonly #children = new Set<AnyChild>();
  readonly #failure = Promise.withResolvers<never>();
  #clientsChild: Child<ClientsLine> | undefined;
  #stalledChild: Child<StalledLine> | undefined;
  #changed = Promise.withResolvers<void>();
  #reports = 0;
  #isOver = false;

  /** Plans `count` nodes. Processes take a sample of their memory every `sampleMs`. */
  constructor(count: number, sampleMs: number) {
    this.#sampleMs = sampleMs;
    this.names = Array.from({ length: count }, (_, i) => `soak-${i + 1}@127.0.0.1:${freePort()}`);
    // Those that wait for something hear of it; perhaps nobody waits now.
    this.#failure.promise.catch(() => {});
  }

  /** Process id of the clients. */
  get clientsPid(): number | undefined {
    return this.#clientsChild?.pid;
  }

  /** Starts all nodes, and resolves when all have heard each other. */
  async start(): Promise<void> {
    await Promise.all(this.names.map((_, node) => this.startNode(node)));
    for (const life of this.nodes) await this.complete(life, 0);
  }

  /** Starts a node, and resolves when it listens. */
  async startNode(node: number): Promise<RunningLife> {
    if (this.#isOver) throw new Violation("interrupted");
    const onLine = (line: NodeLine) => {
      this.#onNodeLine(life, line);
      this.#change();
    };
    const child = new Child("_node.ts", [node, this.#sampleMs, ...this.names], onLine);
    const life: RunningLife = {
      name: this.names[node],
      incarnation: "",
      records: [],
      node,
      child,
      listeningAt: 0,
      port: 0,
      memory: [],
      reportId: 0,
      hasLeft: false,
      poured: 0,
      freed: 0,
    };
    this.#watch(child, life.name, () => life.end !== undefined);
    await this.until(`${life.name} listening`, PROCESS_MS, () => life.incarnation !== "");
    this.lives.push(life);
    this.nodes[node] = life;
    void this.#tellOf(life);
    return life;
  }

  /** Starts the clients, and resolves when all are connected. */
  async startClients(count: number): Promise<void> {
    this.clientCount = count;
    const args = [count, this.names.length, this.#sampleMs];
    const child = this.#clientsChild = new Child("_clients.ts", args, (line: ClientsLine) => {
      this.#onClientsLine(line);
      this.#change();
    });
    const isDone = () => this.clients.done !== undefined;
    this.#watch(child, "the process of the clients", isDone);
    const stalled = this.#stalledChild = new Child("_stalled.ts", [], (line: StalledLine) => {
      if (line.type === "stalled") this.stalled.connected++;
      else this.stalled.woken.push(line);
      this.#change();
    });
    this.#watch(stalled, "the process of clients that do not read", isDone);
    for (const life of this.nodes) void this.#tellOf(life);
    for (const life of this.nodes) await this.clientsBack(life);
  }

  /** When messages have been heard on all links of a life, both ways, that came up after `since`. */
  async complete(life: RunningLife, since: number): Promise<number> {
    let at: number | undefined;
    const what = `messages on all links of ${life.name}`;
    await this.until(what, COMPLETE_MS, () => (at = this.#completeAt(life, since)) !== undefined);
    return at ?? 0;
  }

  /** When all clients of a life are connected to it. */
  async clientsBack(life: RunningLife): Promise<number> {
    const what = `the clients of ${life.name} being back`;
    await this.until(what, CLIENTS_BACK_MS, () => life.clientsAt !== undefined);
    return life.clientsAt ?? 0;
  }

  /** When all others have lost a life, and how. */
  async noticed(life: RunningLife, limitMs: number): Promise<LinkRecord[]> {
    const others = this.othersThan(life);
    const what = `${life.name} being reported down by all others`;
    await this.until(what, limitMs, () => others.every((other) => !isLinked(other, life)));
    return others.flatMap((other) =>
      other.records.findLast(({ life: peer }) => peer === life.incarnation) ?? []
    );
  }

  /** The lives of all other nodes. */
  othersThan(life: RunningLife): RunningLife[] {
    return this.nodes.filter(({ node, end }) => node !== life.node && end === undefined);
  }

  /** Has lives report now. */
  async report(lives: readonly RunningLife[]): Promise<void> {
    const id = ++this.#reports;
    for (const { child } of lives) void child.send({ do: "report", id });
    await this.until("reports", PROCESS_MS, () => lives.every(({ reportId }) => reportId >= id));
  }

  /** Tells the clients that do not read something. */
  async tellStalled(command: Command): Promise<void> {
    await this.#stalledChild?.send(command);
  }

  /** Tells the clients something. */
  async tellClients(command: Command): Promise<void> {
    await this.#clientsChild?.send(command);
  }

  /** Has nothing said any more, and resolves when all that was said has arrived. */
  async quiet(limitMs: number): Promise<void> {
    await this.tellClients({ do: "quiet" });
    await this.until("the clients being quiet", PROCESS_MS, () => this.clients.isQuiet);
    for (const { child } of this.nodes) void child.send({ do: "quiet" });
    await this.#settled(limitMs);
  }

  /** Has each node say something to each room, and make sure that it hears what the others say. */
  async callAll(limitMs: number): Promise<void> {
    const { clientCount: clients } = this;
    for (const { child } of this.nodes) void child.send({ do: "call", clients });
    await this.#settled(limitMs);
    for (const { child } of this.nodes) void child.send({ do: "check", clients });
    await this.report(this.nodes);
    const views = this.nodes.map(({ name, occupied = {} }) => ({ name, occupied }));
    this.violations.push(...disagreements(views));
  }

  /** Waits until nothing changes any more. */
  async #settled(limitMs: number): Promise<void> {
    const endAt = now() + limitMs;
    for (let before = ""; now() < endAt;) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      await this.report(this.nodes);
      const state = JSON.stringify(
        this.nodes.map(({ report }) => [
          report?.sent,
          report?.open.map(({ queued, heard }) => [queued, heard]),
        ]),
      );
      if (state === before) return;
      before = state;
    }
    this.violations.push(`messages are still under way ${limitMs} ms after the last was said`);
  }

  /** Has the nodes close all clients. These compare what they have heard with what was sent. */
  async closeClients(): Promise<void> {
    for (const { child } of this.nodes) void child.send({ do: "close" });
    const what = "all clients being closed";
    await this.until(what, CLIENTS_BACK_MS, () => this.clients.done !== undefined);
    await this.#clientsChild?.closeStdin();
    await this.#stalledChild?.closeStdin();
  }

  /** Waits until something holds that processes tell of. */
  async until(what: string, limitMs: number, holds: () => boolean): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Violation(`waited ${limitMs} ms for ${what}`)),
      limitMs,
    );
    try {
      while (!holds()) {
        await Promise.race([this.#changed.promise, late.promise, this.#failure.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends every process that is left, whatever its state. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    for (const child of this.#children) child.signal("SIGKILL");
    await Promise.all(Array.from(this.#children, (child) => child.ended));
  }

  #completeAt(life: RunningLife, since: number): number | undefined {
    let at = 0;
    for (const other of this.othersThan(life)) {
      for (const record of [openRecord(life, other), openRecord(other, life)]) {
        if (record?.heardAt === undefined || record.upAt < since) return undefined;
        at = Math.max(at, record.heardAt);
      }
    }
    return at;
  }

  async #tellOf({ node, incarnation, port }: RunningLife): Promise<void> {
    await this.tellClients({ do: "up", node, life: incarnation, port });
  }

  #watch(child: AnyChild, name: string, isOver: () => boolean): void {
    this.#children.add(child);
    const end = async () => {
      const { code, signal } = await child.ended;
      this.#children.delete(child);
      if (this.#isOver || isOver() && (code === 0 || signal === "SIGKILL")) return;
      this.#failure.reject(new Violation(`${name} has ended with ${signal ?? code}`));
    };
    void end();
  }

  #onNodeLine(life: RunningLife, line: NodeLine): void {
    switch (line.type) {
      case "fault":
        this.violations.push(`${life.name} ${line.text}`);
        break;
      case "listening":
        life.incarnation = line.life;
        life.listeningAt = line.at;
        life.port = line.port;
        break;
      case "up":
      case "down":
      case "first":
        note(life.records, line.record);
        break;
      case "overflow": {
        const record = life.records.findLast(({ peer }) => peer === line.peer);
        if (record) record.dropped = line.dropped;
        break;
      }
      case "report":
        life.report = line.report;
        life.memory.push(line.report.memory);
        for (const record of line.report.open) note(life.records, record);
        life.reportId = line.id ?? life.reportId;
        break;
      case "occupied":
        life.occupied = line.rooms;
        break;
      case "poured":
        life.poured++;
        break;
      case "freed":
        life.freed++;
        break;
      case "leaving":
        life.leavingAt = line.at;
        break;
      case "left":
        life.hasLeft = true;
    }
  }

  #onClientsLine(line: ClientsLine): void {
    switch (line.type) {
      case "fault":
        this.violations.push(line.text);
        break;
      case "connected": {
        const life = this.lives.find(({ incarnation }) => incarnation === line.life);
        if (life) life.clientsAt = line.at;
        break;
      }
      case "closed":
        this.clients.closed.push(line);
        break;
      case "expelled":
        this.clients.expelled++;
        break;
      case "returned":
        this.clients.returned++;
        break;
      case "gap":
        this.clients.gaps.push(line);
        break;
      case "memory":
        this.clients.memory.push(line.memory);
        break;
      case "quiet":
        this.clients.isQuiet = true;
        break;
      case "done":
        this.clients.done = line;
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** The link of a life to another life that is up, if it is. */
function openRecord(life: Life, peer: Life): LinkRecord | undefined {
  return life.records.findLast((record) =>
    record.life === peer.incarnation && record.reason === undefined
  );
}

function isLinked(life: Life, peer: Life): boolean {
  return openRecord(life, peer) !== undefined;
}

/** Puts what is known of a link now in the place of what was known before. */
function note(records: LinkRecord[], record: LinkRecord): void {
  const place = records.findLastIndex(({ link }) => link === record.link);
  if (place < 0) records.push(record);
  else records[place] = record;
}
