import { checkMethods, checkObject } from "../backplane/checks.ts";
import { backgroundClock, type Clock } from "../backplane/clock.ts";
import type { MeshTotals } from "../mesh/mod.ts";
import type { RoomsTotals } from "../rooms/mod.ts";
import type { Meter, ObservableResult } from "./meter.ts";

/** How often the delay of the event loop is measured. */
const LOOP_INTERVAL_MS = 100;

const SYSTEM = { "messaging.system": "roomcast" };

/** Name, unit and description of an instrument. */
type Definition = readonly [name: string, unit: string, description: string];

const MESSAGES = "{message}";
const SENT_MESSAGES: Definition = [
  "messaging.client.sent.messages",
  MESSAGES,
  "Messages published to the other nodes.",
];
const CONSUMED_MESSAGES: Definition = [
  "messaging.client.consumed.messages",
  MESSAGES,
  "Messages received from other nodes.",
];
const MESH_LOSSES: readonly (readonly ["dropped" | "missed" | "malformed", Definition])[] = [
  ["dropped", ["roomcast.mesh.dropped", MESSAGES, "Messages that peers did not get."]],
  ["missed", ["roomcast.mesh.missed", MESSAGES, "Messages that peers could not send here."]],
  ["malformed", ["roomcast.mesh.malformed", MESSAGES, "Messages that could not be decoded."]],
];
const MESH_IO: Definition = ["roomcast.mesh.io", "By", "Bytes on links to other nodes."];
const MESH_PEERS: Definition = ["roomcast.mesh.peers", "{peer}", "Links to other nodes."];
const MESH_QUEUED: Definition = ["roomcast.mesh.queued", "By", "Bytes that wait to be written."];
const DELIVERIES: Definition = [
  "roomcast.rooms.deliveries",
  MESSAGES,
  "Messages for members on this node, by outcome.",
];
const ROOMS_MESSAGES: readonly (readonly ["published" | "received" | "missed", Definition])[] = [
  ["published", ["roomcast.rooms.published", MESSAGES, "Broadcasts made on this node."]],
  ["received", ["roomcast.rooms.received", MESSAGES, "Broadcasts that came from other nodes."]],
  ["missed", ["roomcast.rooms.missed", MESSAGES, "Broadcasts of other nodes that were lost."]],
];
const OPEN_ROOMS: Definition = ["roomcast.rooms.open", "{room}", "Rooms with members here."];
const SOCKETS: Definition = ["roomcast.sockets", "{socket}", "Sockets in a room."];
const PRESENCE_ENTRIES: Definition = [
  "roomcast.presence.entries",
  "{entry}",
  "Tracked sockets, on this node and on others.",
];
const LOOP_DELAY: Definition = ["roomcast.eventloop.delay", "s", "How late timers run."];

/** What {@linkcode instrument} reads from a mesh. */
export interface MeshMetrics {
  /** One entry per link. */
  readonly peers: readonly { readonly queuedBytes: number }[];
  /** Counters since the mesh started. */
  readonly totals: MeshTotals;
}

/** What {@linkcode instrument} reads from `Rooms`. */
export interface RoomsMetrics {
  /** Rooms with members on this node. */
  readonly roomCount: number;
  /** Sockets in a room. */
  readonly socketCount: number;
  /** Counters since the `Rooms` was made. */
  readonly totals: RoomsTotals;
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

/**
 * Registers the metrics of a node with an OpenTelemetry meter. Counters never run backwards: they
 * outlive the sockets and links that they have counted. Reading them costs nothing between
 * collections.
 *
 * | metric | kind, unit | from |
 * | --- | --- | --- |
 * | `messaging.client.sent.messages` | counter, `{message}` | messages published, each once |
 * | `messaging.client.consumed.messages` | counter, `{message}` | messages received from peers |
 * | `roomcast.mesh.dropped` | counter, `{message}` | messages that a peer did not get: its queue was full, or it cannot decode them |
 * | `roomcast.mesh.missed` | counter, `{message}` | messages that peers could not send to this node |
 * | `roomcast.mesh.malformed` | counter, `{message}` | messages that could not be decoded |
 * | `roomcast.mesh.io` | counter, `By` | bytes on links, by `network.io.direction` |
 * | `roomcast.mesh.peers` | gauge, `{peer}` | links |
 * | `roomcast.mesh.queued` | gauge, `By` | bytes that wait to be written, all links together |
 * | `roomcast.rooms.deliveries` | counter, `{message}` | by `roomcast.outcome`: `sent`, `slow`, `failed` |
 * | `roomcast.rooms.published` | counter, `{message}` | broadcasts made on this node |
 * | `roomcast.rooms.received` | counter, `{message}` | messages that came over the backplane |
 * | `roomcast.rooms.missed` | counter, `{message}` | messages of other nodes that were lost; each loss of unknown size counts as one |
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
 * @throws {TypeError} if `meter` is no meter or `sources` no object.
 * @returns a handle that ends the measuring when it is disposed.
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
  checkMethods(
    "meter",
    meter,
    "createObservableCounter",
    "createObservableGauge",
    "createHistogram",
  );
  checkObject("sources", sources, "mesh, rooms or presence");
  const ends: (() => void)[] = [];
  const read = (
    kind: "createObservableCounter" | "createObservableGauge",
    [name, unit, description]: Definition,
    observe: (result: ObservableResult) => void,
  ) => {
    const instrument = meter[kind](name, { unit, description });
    instrument.addCallback(observe);
    ends.push(() => instrument.removeCallback(observe));
  };
  const counter = (definition: Definition, observe: (result: ObservableResult) => void) =>
    read("createObservableCounter", definition, observe);
  const gauge = (definition: Definition, observe: (result: ObservableResult) => void) =>
    read("createObservableGauge", definition, observe);

  const { mesh, rooms, presence } = sources;
  if (mesh !== undefined) {
    counter(SENT_MESSAGES, (result) => result.observe(mesh.totals.published, SYSTEM));
    counter(CONSUMED_MESSAGES, (result) => result.observe(mesh.totals.received, SYSTEM));
    for (const [total, definition] of MESH_LOSSES) {
      counter(definition, (result) => result.observe(mesh.totals[total]));
    }
    counter(MESH_IO, (result) => {
      const { bytesIn, bytesOut } = mesh.totals;
      result.observe(bytesIn, { "network.io.direction": "receive" });
      result.observe(bytesOut, { "network.io.direction": "transmit" });
    });
    gauge(MESH_PEERS, (result) => result.observe(mesh.peers.length));
    gauge(MESH_QUEUED, (result) => {
      result.observe(mesh.peers.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0));
    });
  }
  if (rooms !== undefined) {
    counter(DELIVERIES, (result) => {
      for (const outcome of ["sent", "slow", "failed"] as const) {
        result.observe(rooms.totals[outcome], { "roomcast.outcome": outcome });
      }
    });
    for (const [total, definition] of ROOMS_MESSAGES) {
      counter(definition, (result) => result.observe(rooms.totals[total]));
    }
    gauge(OPEN_ROOMS, (result) => result.observe(rooms.roomCount));
    gauge(SOCKETS, (result) => result.observe(rooms.socketCount));
  }
  if (presence !== undefined) {
    gauge(PRESENCE_ENTRIES, (result) => {
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

/** Measures how late timers run. Returns a function that ends it. */
function watchEventLoop(meter: Meter, clock: Clock): () => void {
  const [name, unit, description] = LOOP_DELAY;
  const delay = meter.createHistogram(name, {
    unit,
    description,
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
