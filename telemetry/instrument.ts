import { clearTimeout, setTimeout } from "node:timers";
import { type Clock, systemClock } from "../backplane/clock.ts";
import type { Meter, ObservableResult } from "./meter.ts";

/** How often the event loop is asked how late it is. */
const LOOP_INTERVAL_MS = 100;

const SYSTEM = { "messaging.system": "roomcast" };

/** What {@linkcode instrument} reads from a mesh. */
export interface MeshMetrics {
  /** One entry per link. */
  readonly peers: readonly { readonly queuedBytes: number }[];
  /** Counters since the mesh started. */
  readonly totals: {
    readonly published: number;
    readonly received: number;
    readonly dropped: number;
    readonly missed: number;
    readonly malformed: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  };
}

/** What {@linkcode instrument} reads from `Rooms`. */
export interface RoomsMetrics {
  /** Rooms with members on this node. */
  readonly roomCount: number;
  /** Sockets in a room. */
  readonly socketCount: number;
  /** Counters since the `Rooms` was made. */
  readonly totals: {
    readonly sent: number;
    readonly slow: number;
    readonly failed: number;
    readonly published: number;
    readonly received: number;
    readonly missed: number;
  };
}

/** What {@linkcode instrument} reads from a `Presence`. */
export interface PresenceMetrics {
  /** Tracked sockets on this node. */
  readonly localCount: number;
  /** Tracked sockets on all other nodes, as far as this node knows. */
  readonly remoteCount: number;
}

/** What to measure. */
export interface InstrumentSources {
  /** A mesh. */
  mesh?: MeshMetrics;
  /** A `Rooms`. */
  rooms?: RoomsMetrics;
  /** A `Presence`. */
  presence?: PresenceMetrics;
}

/** Options of {@linkcode instrument}. */
export interface InstrumentOptions {
  /** Default: the platform's, whose timers do not keep the process alive. */
  clock?: Clock;
}

const backgroundClock: Clock = {
  now: systemClock.now,
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs).unref(),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/**
 * Registers the metrics of a node with an OpenTelemetry meter. Counters never run backwards: they
 * outlive the sockets and links that they have counted. Reading them costs nothing between
 * collections.
 *
 * | metric | kind, unit | from |
 * | --- | --- | --- |
 * | `messaging.client.sent.messages` | counter, `{message}` | broadcasts queued, once per peer |
 * | `messaging.client.consumed.messages` | counter, `{message}` | broadcasts received from peers |
 * | `roomcast.mesh.dropped` | counter, `{message}` | broadcasts that did not fit a peer's queue |
 * | `roomcast.mesh.missed` | counter, `{message}` | broadcasts that peers could not send to this node |
 * | `roomcast.mesh.malformed` | counter, `{message}` | messages that could not be decoded |
 * | `roomcast.mesh.io` | counter, `By` | bytes on links, by `network.io.direction` |
 * | `roomcast.mesh.peers` | gauge, `{peer}` | links |
 * | `roomcast.mesh.queued` | gauge, `By` | bytes that wait to be written, all links together |
 * | `roomcast.rooms.deliveries` | counter, `{message}` | by `roomcast.outcome`: `sent`, `slow`, `failed` |
 * | `roomcast.rooms.published` | counter, `{message}` | broadcasts made on this node |
 * | `roomcast.rooms.received` | counter, `{message}` | messages that came over the backplane |
 * | `roomcast.rooms.missed` | counter, `{message}` | messages missed, where the number is known |
 * | `roomcast.rooms.open` | gauge, `{room}` | rooms with members here |
 * | `roomcast.sockets` | gauge, `{socket}` | sockets in a room |
 * | `roomcast.presence.entries` | gauge, `{entry}` | by `roomcast.place`: `local`, `remote` |
 * | `roomcast.eventloop.delay` | histogram, `s` | how late a timer of 100 ms runs |
 *
 * The first two names are OpenTelemetry's semantic conventions for messaging, with
 * `messaging.system` `roomcast`. The delay of the event loop explains late deliveries: all sockets
 * of a node share one thread.
 *
 * @param meter an OpenTelemetry meter, such as `metrics.getMeter("roomcast")` of
 * `npm:@opentelemetry/api`.
 * @returns ends the measuring when it is disposed.
 *
 * @example
 * ```ts
 * import { metrics } from "@opentelemetry/api";
 * import { Rooms } from "@roomcast/roomcast/rooms";
 * import { instrument } from "@roomcast/roomcast/telemetry";
 *
 * const rooms = new Rooms();
 * using _metrics = instrument(metrics.getMeter("roomcast"), { rooms });
 * ```
 */
export function instrument(
  meter: Meter,
  sources: InstrumentSources,
  { clock = backgroundClock }: InstrumentOptions = {},
): Disposable {
  const ends: (() => void)[] = [];
  const read = (
    kind: "createObservableCounter" | "createObservableGauge",
    name: string,
    unit: string,
    observe: (result: ObservableResult) => void,
  ) => {
    const instrument = meter[kind](name, { unit });
    instrument.addCallback(observe);
    ends.push(() => instrument.removeCallback(observe));
  };
  const counter = (name: string, unit: string, observe: (result: ObservableResult) => void) =>
    read("createObservableCounter", name, unit, observe);
  const gauge = (name: string, unit: string, observe: (result: ObservableResult) => void) =>
    read("createObservableGauge", name, unit, observe);

  const { mesh, rooms, presence } = sources;
  if (mesh !== undefined) {
    counter("messaging.client.sent.messages", "{message}", (result) => {
      result.observe(mesh.totals.published, SYSTEM);
    });
    counter("messaging.client.consumed.messages", "{message}", (result) => {
      result.observe(mesh.totals.received, SYSTEM);
    });
    for (const each of ["dropped", "missed", "malformed"] as const) {
      counter(`roomcast.mesh.${each}`, "{message}", (result) => {
        result.observe(mesh.totals[each]);
      });
    }
    counter("roomcast.mesh.io", "By", (result) => {
      const { bytesIn, bytesOut } = mesh.totals;
      result.observe(bytesIn, { "network.io.direction": "receive" });
      result.observe(bytesOut, { "network.io.direction": "transmit" });
    });
    gauge("roomcast.mesh.peers", "{peer}", (result) => result.observe(mesh.peers.length));
    gauge("roomcast.mesh.queued", "By", (result) => {
      result.observe(mesh.peers.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0));
    });
  }
  if (rooms !== undefined) {
    counter("roomcast.rooms.deliveries", "{message}", (result) => {
      for (const outcome of ["sent", "slow", "failed"] as const) {
        result.observe(rooms.totals[outcome], { "roomcast.outcome": outcome });
      }
    });
    for (const each of ["published", "received", "missed"] as const) {
      counter(`roomcast.rooms.${each}`, "{message}", (result) => {
        result.observe(rooms.totals[each]);
      });
    }
    gauge("roomcast.rooms.open", "{room}", (result) => result.observe(rooms.roomCount));
    gauge("roomcast.sockets", "{socket}", (result) => result.observe(rooms.socketCount));
  }
  if (presence !== undefined) {
    gauge("roomcast.presence.entries", "{entry}", (result) => {
      result.observe(presence.localCount, { "roomcast.place": "local" });
      result.observe(presence.remoteCount, { "roomcast.place": "remote" });
    });
  }
  ends.push(watchEventLoop(meter, clock));
  return {
    [Symbol.dispose]() {
      for (const end of ends.splice(0)) end();
    },
  };
}

/** Measures how late timers run. Returns what ends it. */
function watchEventLoop(meter: Meter, clock: Clock): () => void {
  const delay = meter.createHistogram("roomcast.eventloop.delay", {
    unit: "s",
    advice: { explicitBucketBoundaries: [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5] },
  });
  let dueAt = clock.now() + LOOP_INTERVAL_MS;
  let timer = clock.setTimeout(onTimer, LOOP_INTERVAL_MS);
  function onTimer() {
    const now = clock.now();
    // Timers may run a fraction of a millisecond early.
    delay.record(Math.max(0, now - dueAt) / 1000);
    dueAt = now + LOOP_INTERVAL_MS;
    timer = clock.setTimeout(onTimer, LOOP_INTERVAL_MS);
  }
  return () => clock.clearTimeout(timer);
}
