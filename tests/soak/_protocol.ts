/** What the processes of a soak say to each other: a JSON value a line. */

import type { LinkRecord } from "./_link_book.ts";

/** To a node or to clients. Besides, SIGTERM asks a node to leave. */
export type Command =
  /** Say nothing of your own any more. */
  | { readonly do: "quiet" }
  /** Node: say more, at once, than fits what may wait for one peer. */
  | { readonly do: "shout" }
  /** Node: disconnect a room. */
  | { readonly do: "expel"; readonly room: string }
  /** Node: tell the clients that have stopped reading more than they may leave unread. */
  | { readonly do: "pour" }
  /** Node: say something to each room of so many clients. */
  | { readonly do: "call"; readonly clients: number }
  /** Node: make sure that the calls of all others have been heard. */
  | { readonly do: "check"; readonly clients: number }
  /** Node: close all clients, each with what it should have heard. */
  | { readonly do: "close" }
  /** Node: report now. */
  | { readonly do: "report"; readonly id: number }
  /** Clients: a node serves, so its clients can connect. */
  | { readonly do: "up"; readonly node: number; readonly life: string; readonly port: number }
  /** Clients that do not read: one for each of these rooms connects to a node. */
  | {
    readonly do: "stall";
    readonly life: string;
    readonly port: number;
    readonly rooms: readonly string[];
  }
  /** Clients that do not read: so many of you read again, until your connections have ended. */
  | { readonly do: "wake"; readonly count: number };

/** Memory of a process, after a garbage collection. */
export interface Memory {
  readonly at: number;
  readonly rssBytes: number;
  /** The heap of JavaScript, and the buffers that it holds outside. */
  readonly heapBytes: number;
}

/** Something is wrong, found by the process itself. */
interface FaultLine {
  readonly type: "fault";
  readonly text: string;
}

/** What a node says. */
export type NodeLine =
  | FaultLine
  | {
    readonly type: "listening";
    readonly at: number;
    readonly life: string;
    readonly port: number;
  }
  /** A link has come up or gone, or something has been heard on it for the first time. */
  | { readonly type: "up" | "down" | "first"; readonly record: LinkRecord }
  | { readonly type: "overflow"; readonly peer: string; readonly dropped: number }
  | { readonly type: "report"; readonly id?: number; readonly report: NodeReport }
  /** Who is present in each room. */
  | { readonly type: "occupied"; readonly rooms: Readonly<Record<string, Occupants>> }
  /** All clients that do not read have been closed as slow. */
  | { readonly type: "poured" }
  /** The connections of these have ended. */
  | { readonly type: "freed" }
  /** The clients are gone, and the mesh is about to be left. */
  | { readonly type: "leaving"; readonly at: number }
  | { readonly type: "left" };

/** How many clients are in a room. */
export interface Occupants {
  /** On this node, by its connections. */
  readonly here: number;
  /** In the cluster, by presence. */
  readonly everywhere: number;
}

/** How a node is. */
export interface NodeReport {
  readonly memory: Memory;
  /** Broadcasts so far. */
  readonly broadcasts: number;
  /** The links that are up. */
  readonly open: LinkRecord[];
  /** Messages sent to clients; those that were too slow, or failed. */
  readonly sent: number;
  readonly slow: number;
  readonly failed: number;
  readonly clients: number;
}

/** What the clients say. */
export type ClientsLine =
  | FaultLine
  /** All clients of a node are connected to it. */
  | {
    readonly type: "connected";
    readonly at: number;
    readonly node: number;
    readonly life: string;
  }
  /** Connections have closed that had been open, without a tally. */
  | {
    readonly type: "closed";
    readonly life: string;
    readonly code: number;
    readonly count: number;
  }
  /** A client was closed because its room was disconnected, or is back after that. */
  | { readonly type: "expelled" | "returned" }
  /** A client has not heard `count` messages of `sender`, and others after them. */
  | { readonly type: "gap"; readonly life: string; readonly sender: string; readonly count: number }
  | { readonly type: "memory"; readonly memory: Memory }
  /** All is said. */
  | { readonly type: "quiet" }
  /** All connections have ended. */
  | {
    readonly type: "done";
    readonly said: number;
    readonly heard: number;
    /** Connections that ended with a tally, which agreed. */
    readonly agreed: number;
  };

/** What the clients that do not read say. */
export type StalledLine =
  /** All are connected. */
  | { readonly type: "stalled" }
  /** They read again, and their connections have ended: with a close as slow, or without. */
  | { readonly type: "woken"; readonly closed: number; readonly cut: number };

/** Says a line. */
export function say(line: NodeLine | ClientsLine | StalledLine): void {
  console.log(JSON.stringify(line));
}

/** Milliseconds since 1970, the same in all processes of a machine. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** The memory of this process, started with `--v8-flags=--expose-gc`. */
export function memory(): Memory {
  const { gc } = globalThis as { gc?: () => void };
  // The second takes what the first has found to be garbage, such as buffers outside of the heap.
  gc?.();
  gc?.();
  const { rss, heapUsed, external } = Deno.memoryUsage();
  return { at: now(), rssBytes: rss, heapBytes: heapUsed + external };
}

/** Says what is wrong instead of ending the process by it. */
export function guarded(work: () => void): void {
  try {
    work();
  } catch (error) {
    say({ type: "fault", text: error instanceof Error ? error.message : String(error) });
  }
}
