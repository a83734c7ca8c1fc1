/** What the load generator is told, a JSON value a line, and what it answers. */

import type { DialectName } from "./dialect.ts";

/** Connects clients, spread over the nodes, and one more at each node that will broadcast. */
export interface OpenOrder {
  readonly op: "open";
  readonly hostname: string;
  /** Of each node. */
  readonly ports: readonly number[];
  readonly dialect: DialectName;
  readonly clients: number;
  /** The rooms that they will join, by which they are spread. */
  readonly plan?: JoinPlan;
}

/** Who is in which rooms: client i in `perClient` rooms one after another, going round. */
export interface JoinPlan {
  readonly rooms: number;
  readonly perClient: number;
  /** The node that all of them connect to. They are spread over all nodes if it is not given. */
  readonly node?: number;
}

/** Has all clients join; of an earlier plan with other rooms they stay members. */
export interface JoinPlanOrder extends JoinPlan {
  readonly op: "join";
}

/** Broadcasts once from every node until everybody hears everything, and fails after a while. */
export interface SettleOrder {
  readonly op: "settle";
  readonly timeoutMs: number;
}

/** Broadcasts for so long, as fast as deliveries come in. */
export interface SaturateOrder {
  readonly op: "saturate";
  /** The node that broadcasts. All do so in turns if it is not given. */
  readonly from?: number;
  readonly ms: number;
  readonly bytes: number;
  /** Broadcasts for one message of a client, without a pause between. */
  readonly times: number;
  /** Deliveries that may be missing when more is sent. 0: one at a time, in one room, each timed. */
  readonly ahead: number;
  /** `ahead` doubles up to this for a contender that might otherwise be idle. */
  readonly maxAhead?: number;
}

/** What came of it. */
export interface Saturated {
  readonly broadcasts: number;
  readonly deliveries: number;
  /** Deliveries that never came. */
  readonly lost: number;
  /** Deliveries a second, while everybody was busy. */
  readonly perSecond: number;
  /** Until the last delivery. */
  readonly ms: number;
  /** With `ahead` 0: how long each took until everybody had it. */
  readonly eachMs: readonly number[];
}

/** Broadcasts from the first node at a fixed rate, whatever comes back. */
export interface PaceOrder {
  readonly op: "pace";
  /** Broadcasts a second. */
  readonly rate: number;
  readonly ms: number;
  readonly bytes: number;
  /** The nodes whose clients are timed. Others may miss what they like. */
  readonly hear: readonly number[];
}

/** What came of it. */
export interface Paced {
  readonly broadcasts: number;
  readonly deliveries: number;
  readonly lost: number;
  /** From the time for which a broadcast was planned to each of its deliveries, in ms, sorted. */
  readonly latenciesMs: readonly number[];
  /** By how much the generator itself was late to send: p99. */
  readonly lateMs: number;
  /** The highest latency in each second of the plan. */
  readonly worstMs: readonly number[];
}

/** Lets a client read nothing more, or go on. */
export interface PauseOrder {
  readonly op: "pause" | "resume";
  readonly client: number;
}

/** Has the clients of a node connect again, to the port of its successor, and join. */
export interface ReopenOrder {
  readonly op: "reopen";
  readonly node: number;
  readonly port: number;
}

/**
 * Broadcasts from one node every few milliseconds until the clients of another have heard one. What
 * was broadcast before does not count.
 */
export interface ProbeOrder {
  readonly op: "probe";
  readonly from: number;
  readonly to: number;
  readonly timeoutMs: number;
}

/** How that went. */
export interface Probed {
  readonly ms: number;
  /** Clients that had been closed, and had to connect again. */
  readonly reconnected: number;
}

/**
 * Has no client read any more, and broadcasts to each of their rooms at a rate. Meanwhile one more
 * client, in a room of its own, broadcasts to itself, and is timed.
 */
export interface FloodOrder {
  readonly op: "flood";
  readonly ms: number;
  readonly bytes: number;
  /** Broadcasts a second to each room, as long as the server takes them. */
  readonly rate: number;
}

/** How that went. */
export interface Flooded {
  /** How long each message of the quiet room took from the planned time, in ms, sorted. */
  readonly quietMs: readonly number[];
  /** Messages of the quiet room that did not come. */
  readonly lost: number;
  /** Broadcasts a second to each room that the server took. */
  readonly rate: number;
}

/** Absorbs what a blaster writes. */
export interface AbsorbOrder {
  readonly op: "absorb";
  readonly hostname: string;
  readonly port: number;
  readonly clients: number;
  /** How often they are looked at. */
  readonly sweepMs: number;
  readonly ms: number;
}

/** How much that was. */
export interface Absorbed {
  readonly messages: number;
  readonly ms: number;
}

/** All orders. */
export type LoadOrder =
  | OpenOrder
  | JoinPlanOrder
  | SettleOrder
  | SaturateOrder
  | PaceOrder
  | PauseOrder
  | ReopenOrder
  | ProbeOrder
  | FloodOrder
  | AbsorbOrder
  | { readonly op: "close" };
