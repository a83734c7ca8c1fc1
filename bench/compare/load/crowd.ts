/**
 * All clients of a contender, and what is done with them. Everything here is done at once and to its
 * end: nothing else runs in this process meanwhile.
 */

import { Client } from "./client.ts";
import { clientFrame } from "./client_frame.ts";
import { type Dialect, DIALECTS } from "./dialect.ts";
import { holdLittle, Poll, sleepFor } from "./libc.ts";
import type {
  Flooded,
  FloodOrder,
  JoinPlan,
  OpenOrder,
  Paced,
  PaceOrder,
  Probed,
  ProbeOrder,
  Saturated,
  SaturateOrder,
} from "./orders.ts";
import { membersPerRoom, nodeOf, roomsOf, targetsOf } from "./plan.ts";

/** Connections, or clients that join, at the same time. */
const AT_ONCE = 50;
/** Names in one message that joins rooms. */
const NAMES_AT_ONCE = 500;
const OPEN_LIMIT_MS = 60_000;
/** How long what is missing may still come. */
const LOST_AFTER_MS = 5_000;
const WAIT_MS = 1;
const PROBE_EVERY_MS = 2;
const SETTLE_PROBE_MS = 300;
const SETTLE_BYTES = 64;
const PROBE_BYTES = 200;
const START_DELAY_MS = 100;
/**
 * Under load a client is read when several messages have gathered, as from time to time is enough:
 * the more clients, the fewer messages for each.
 */
const MIN_SWEEP_MS = 2;
const SWEEP_MS_PER_CLIENT = 0.015;
/** One broadcast at a time: how often to look, in proportion to how long it takes. */
const LOOK_MS_PER_CLIENT = 0.0005;
/** The first look, as a share of the shortest of the last few. */
const FIRST_LOOK = 0.25;
const RECENT = 5;
const FLOOD_TICK_MS = 10;
const QUIET_EVERY_MS = 20;
const QUIET_BYTES = 64;
const QUIET_ROOM = "quiet";
const NO_ROOMS: JoinPlan = { rooms: 1, perClient: 0 };

/** Clients of one contender. */
export class Crowd {
  readonly #clients: Client[] = [];
  readonly #drivers: Client[] = [];
  readonly #dialect: Dialect;
  readonly #options: OpenOrder;
  readonly #ports: number[];
  #plan: JoinPlan;
  #probes = 0;

  /** Connects everybody. */
  constructor(options: OpenOrder) {
    this.#options = options;
    this.#ports = [...options.ports];
    this.#dialect = DIALECTS[options.dialect];
    this.#plan = options.plan ?? NO_ROOMS;
    for (const [node] of options.ports.entries()) this.#drivers.push(this.#open(node));
    this.#inBatches(options.clients, (i) => {
      const client = this.#open(nodeOf(i, options.ports.length, this.#plan));
      this.#clients.push(client);
      return client;
    }, (client) => client.isOpen);
    this.#waitFor(this.#drivers, (client) => client.isOpen);
  }

  close(): void {
    for (const client of [...this.#clients, ...this.#drivers]) client.close();
  }

  join(plan: JoinPlan): void {
    this.#plan = plan;
    this.#joinAll([...this.#clients.keys()]);
  }

  pause(client: number): void {
    this.#clients[client].paused = true;
  }

  resume(client: number): void {
    this.#clients[client].paused = false;
  }

  /** Reads what is there, so that pings are answered. */
  idle(): void {
    this.#sweep();
  }

  /** Connects the clients of a node again. */
  reopen(node: number, port: number): void {
    this.#ports[node] = port;
    this.#drivers[node].close();
    this.#drivers[node] = this.#open(node);
    this.#waitFor([this.#drivers[node]], (client) => client.isOpen);
    this.#reconnect(this.#clients.flatMap((client, i) => client.node === node ? i : []));
  }

  /** Broadcasts from each node until that is heard by all members of the room. */
  settle(timeoutMs: number): void {
    const end = performance.now() + timeoutMs;
    const targets = targetsOf(this.#plan);
    const rooms = [targets[0], targets[targets.length >> 1]];
    const expected = rooms.length * this.#members;
    for (const [node, driver] of this.#drivers.entries()) {
      for (let heard = 0; heard !== expected;) {
        if (performance.now() > end) {
          throw new Error(`of a broadcast of node ${node} ${heard} of ${expected} members hear`);
        }
        heard = 0;
        for (const room of rooms) driver.send(this.#frame(room, SETTLE_BYTES, 1));
        const limit = performance.now() + SETTLE_PROBE_MS;
        while (heard < expected && performance.now() < limit) {
          heard += this.#sweep();
          sleepFor(WAIT_MS);
        }
        // What comes late, or twice, is not to be taken for what comes next.
        if (heard !== expected) sleepFor(SETTLE_PROBE_MS);
        heard += this.#sweep();
      }
    }
  }

  /** Broadcasts as fast as deliveries come in, or one at a time. */
  saturate(order: SaturateOrder): Saturated {
    return order.ahead === 0 ? this.#oneByOne(order) : this.#stream(order);
  }

  #stream(
    { ms, bytes, times, from, ahead: firstAhead, maxAhead = firstAhead }: SaturateOrder,
  ): Saturated {
    let ahead = firstAhead;
    const senders = from === undefined ? this.#drivers : [this.#drivers[from]];
    const frames = targetsOf(this.#plan).map((room) => this.#frame(room, bytes, times));
    const members = this.#members * times;
    const sweepMs = Math.max(MIN_SWEEP_MS, this.#clients.length * SWEEP_MS_PER_CLIENT);
    const start = performance.now();
    let [sent, heard] = [0, 0];
    let [firstMs, firstHeard] = [0, 0];
    let [lastMs, lastHeard] = [0, 0];
    while (performance.now() - start < ms || lastMs === 0) {
      const batches: Uint8Array[][] = senders.map(() => []);
      do {
        batches[sent % batches.length].push(frames[sent % frames.length]);
        sent++;
      } while ((sent + 1) * members - heard <= ahead);
      for (const [i, batch] of batches.entries()) {
        if (batch.length > 0) senders[i].send(joined(batch));
      }
      const before = heard;
      while ((sent + 1) * members - heard > ahead) {
        const lookedAt = performance.now();
        sleepFor(sweepMs);
        heard += this.#sweep();
        if (heard === before && lookedAt - start > ms + LOST_AFTER_MS) break;
      }
      // A contender that delivers so much between two looks may have been idle: it gets more to do.
      if (heard - before > ahead / 2) ahead = Math.min(2 * ahead, maxAhead);
      // The rate is that of the time between, when everybody was busy.
      const now = performance.now() - start;
      if (firstMs === 0) [firstMs, firstHeard] = [now, heard];
      else [lastMs, lastHeard] = [now, heard];
    }
    for (let limit = performance.now() + LOST_AFTER_MS; heard < sent * members;) {
      const count = this.#sweep();
      heard += count;
      if (count > 0) limit = performance.now() + LOST_AFTER_MS;
      else if (performance.now() > limit) break;
      sleepFor(WAIT_MS);
    }
    return {
      broadcasts: sent * times,
      deliveries: heard,
      lost: sent * members - heard,
      perSecond: (lastHeard - firstHeard) / (lastMs - firstMs) * 1000,
      ms: performance.now() - start,
      eachMs: [],
    };
  }

  #oneByOne({ ms, bytes, times }: SaturateOrder): Saturated {
    const frames = targetsOf(this.#plan).map((room) => this.#frame(room, bytes, times));
    const members = this.#members * times;
    const eachMs: number[] = [];
    const start = performance.now();
    const lookMs = this.#clients.length * LOOK_MS_PER_CLIENT;
    const missing: number[] = new Array(this.#clients.length);
    let [sent, lost] = [0, 0];
    while (performance.now() - start < ms && lost === 0) {
      const begun = performance.now();
      this.#drivers[sent % this.#drivers.length].send(frames[sent % frames.length]);
      sent++;
      let heard = 0;
      missing.fill(times);
      // To look for what cannot be there yet would only take time from the server.
      if (sent > 1) sleepFor(Math.min(...eachMs.slice(-RECENT)) * FIRST_LOOK);
      // Only those are looked at who have not heard all of it.
      let waiting = [...this.#clients.keys()];
      while (heard < members && performance.now() - begun < LOST_AFTER_MS) {
        waiting = waiting.filter((i) => {
          const count = this.#clients[i].read();
          heard += count;
          missing[i] -= count;
          return missing[i] > 0;
        });
        if (heard < members) sleepFor(lookMs);
      }
      lost += members - heard;
      eachMs.push(performance.now() - begun);
    }
    const deliveries = sent * members - lost;
    const took = performance.now() - start;
    const perSecond = deliveries / took * 1000;
    return { broadcasts: sent * times, deliveries, lost, perSecond, ms: took, eachMs };
  }

  /** Broadcasts from the first node at a fixed rate, whatever comes back. */
  pace({ rate, ms, bytes, hear }: PaceOrder): Paced {
    const targets = targetsOf(this.#plan);
    if (targets.length !== 1) throw new Error("latency is taken with a single room");
    const frame = this.#frame(targets[0], bytes, 1);
    const count = Math.round(rate * ms / 1000);
    const timed = this.#clients.filter(({ node, paused }) => !paused && hear.includes(node));
    const next: number[] = timed.map(() => 0);
    const latencies = new Float64Array(count * timed.length);
    const worstMs = new Array<number>(Math.ceil(ms / 1000)).fill(0);
    const late: number[] = [];
    this.#sweep();
    const poll = new Poll(timed.map(({ socket }) => socket));
    const start = performance.now() + START_DELAY_MS;
    const dueMs = (i: number) => start + i * 1000 / rate;
    const end = dueMs(count) + LOST_AFTER_MS;
    let [sent, heard, others] = [0, 0, start];
    while (heard < latencies.length) {
      let now = performance.now();
      if (now > end) break;
      for (; sent < count && now >= dueMs(sent); sent++) {
        this.#drivers[0].send(frame);
        late.push(performance.now() - dueMs(sent));
      }
      if (now - others > 1000) {
        others = now;
        for (const client of [...this.#drivers, ...this.#clients]) {
          if (!timed.includes(client)) client.read();
        }
      }
      if (poll.wait(Math.min(sent < count ? dueMs(sent) - now : WAIT_MS, 100)) === 0) continue;
      for (const [i, client] of timed.entries()) {
        if (!poll.isReadable(i)) continue;
        const messages = client.read();
        now = performance.now();
        // One sender, and one way to each client: the n-th message is the n-th broadcast.
        for (const last = Math.min(next[i] + messages, count); next[i] < last; next[i]++) {
          const latency = now - dueMs(next[i]);
          latencies[heard++] = latency;
          const second = Math.min(worstMs.length - 1, Math.floor(next[i] / rate));
          worstMs[second] = Math.max(worstMs[second], latency);
        }
      }
    }
    late.sort((a, b) => a - b);
    return {
      broadcasts: sent,
      deliveries: heard,
      lost: latencies.length - heard,
      latenciesMs: [...latencies.subarray(0, heard).sort()],
      lateMs: late[Math.floor(late.length * 0.99)],
      worstMs,
    };
  }

  /**
   * How long it takes until a broadcast of one node is heard at another. Clients there that have been
   * closed meanwhile connect again, as those of an application do.
   */
  probe({ from, to, timeoutMs }: ProbeOrder): Probed {
    const start = performance.now();
    // A length of its own: what others have broadcast, or what comes late, is none of this.
    const bytes = PROBE_BYTES + this.#probes++;
    const frame = this.#frame(targetsOf(this.#plan)[0], bytes, 1);
    let silent = [...this.#clients.keys()].filter((i) => this.#clients[i].node === to);
    for (const i of silent) this.#clients[i].watch(bytes);
    let reconnected = 0;
    while (silent.length > 0) {
      if (performance.now() - start > timeoutMs) throw new Error(`nothing within ${timeoutMs} ms`);
      this.#drivers[from].send(frame);
      sleepFor(PROBE_EVERY_MS);
      this.#sweep();
      const closed = silent.filter((i) => this.#clients[i].closed);
      reconnected += closed.length;
      this.#reconnect(closed);
      for (const i of closed) this.#clients[i].watch(bytes);
      silent = silent.filter((i) => this.#clients[i].watched === 0);
    }
    return { ms: performance.now() - start, reconnected };
  }

  /** Broadcasts to clients that do not read, and times one that does. */
  flood({ ms, bytes, rate }: FloodOrder): Flooded {
    for (const client of this.#clients) {
      client.paused = true;
      holdLittle(client.socket);
    }
    const quiet = this.#open(0);
    this.#waitFor([quiet], (client) => client.isOpen);
    const answers = quiet.heard + this.#dialect.joinAnswers(1);
    quiet.send(clientFrame(this.#dialect.join({ join: [QUIET_ROOM] })));
    this.#waitFor([quiet], (client) => client.heard >= answers);
    const ping = this.#frame(QUIET_ROOM, QUIET_BYTES, 1);
    const times = rate * FLOOD_TICK_MS / 1000;
    const tick = joined(targetsOf(this.#plan).map((room) => this.#frame(room, bytes, times)));
    const [driver] = this.#drivers;
    const poll = new Poll([quiet.socket]);
    const quietMs: number[] = [];
    const count = Math.floor(ms / QUIET_EVERY_MS);
    const start = performance.now();
    const dueMs = (i: number) => start + i * QUIET_EVERY_MS;
    let [sent, ticks, nextTick] = [0, 0, start];
    while (quietMs.length < count) {
      const now = performance.now();
      if (now > start + ms + LOST_AFTER_MS) break;
      for (; sent < count && now >= dueMs(sent); sent++) quiet.send(ping);
      driver.flush();
      // A server that does not take more is not given more.
      if (now >= nextTick && now < start + ms && driver.isIdle) {
        driver.send(tick);
        ticks++;
        nextTick = Math.max(nextTick + FLOOD_TICK_MS, now);
      }
      if (poll.wait(WAIT_MS) === 0) continue;
      for (let messages = quiet.read(); messages > 0; messages--) {
        quietMs.push(performance.now() - dueMs(quietMs.length));
      }
    }
    quiet.close();
    quietMs.sort((a, b) => a - b);
    return { quietMs, lost: count - quietMs.length, rate: ticks * times / ms * 1000 };
  }

  get #members(): number {
    return membersPerRoom(this.#clients.length, this.#plan);
  }

  /** Reads from everybody. */
  #sweep(): number {
    let messages = 0;
    for (const client of this.#clients) messages += client.read();
    for (const driver of this.#drivers) {
      driver.read();
      driver.flush();
    }
    return messages;
  }

  #open(node: number): Client {
    return new Client(node, this.#options.hostname, this.#ports[node], this.#dialect);
  }

  #reconnect(indexes: readonly number[]): void {
    for (const i of indexes) {
      this.#clients[i].close();
      this.#clients[i] = this.#open(this.#clients[i].node);
    }
    this.#waitFor(indexes.map((i) => this.#clients[i]), (client) => client.isOpen);
    this.#joinAll(indexes);
  }

  #joinAll(indexes: readonly number[]): void {
    const expected = new Map<Client, number>();
    this.#inBatches(indexes.length, (at) => {
      const client = this.#clients[indexes[at]];
      const rooms = roomsOf(indexes[at], this.#plan);
      let answers = client.heard;
      for (let i = 0; i < rooms.length; i += NAMES_AT_ONCE) {
        const join = rooms.slice(i, i + NAMES_AT_ONCE);
        answers += this.#dialect.joinAnswers(join.length);
        client.send(clientFrame(this.#dialect.join({ join })));
      }
      expected.set(client, answers);
      return client;
    }, (client) => client.heard >= (expected.get(client) ?? 0));
  }

  #inBatches(
    count: number,
    begin: (index: number) => Client,
    isDone: (client: Client) => boolean,
  ): void {
    for (let at = 0; at < count; at += AT_ONCE) {
      const size = Math.min(AT_ONCE, count - at);
      this.#waitFor(Array.from({ length: size }, (_, i) => begin(at + i)), isDone);
    }
  }

  #waitFor(clients: readonly Client[], isDone: (client: Client) => boolean): void {
    const limit = performance.now() + OPEN_LIMIT_MS;
    let waiting = clients;
    for (;;) {
      for (const client of waiting) {
        client.flush();
        client.read();
      }
      waiting = waiting.filter((client) => !isDone(client));
      if (waiting.length === 0) return;
      if (performance.now() > limit || waiting.some(({ ended }) => ended)) {
        throw new Error(`${waiting.length} clients get no answer from node ${waiting[0].node}`);
      }
      sleepFor(WAIT_MS / 10);
    }
  }

  #frame(room: string, bytes: number, times: number): Uint8Array<ArrayBuffer> {
    return clientFrame(this.#dialect.broadcast({ room, body: "x".repeat(bytes), times }));
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
