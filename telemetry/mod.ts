/**
 * Telemetry: reports what happens on a node as lines in a log ({@linkcode logEvents}) and as
 * metrics ({@linkcode instrument}).
 *
 * Nothing in the library imports this folder. It listens to events that are dispatched anyway.
 *
 * @example
 * ```ts
 * import { Rooms, startMesh } from "@roomcast/roomcast";
 * import { logEvents } from "@roomcast/roomcast/telemetry";
 *
 * const cookie = "a secret of at least 16 bytes";
 * await using mesh = await startMesh({ name: "a@127.0.0.1:0", cookie });
 * using _log = logEvents(mesh);
 * const rooms = new Rooms({ backplane: mesh });
 * ```
 *
 * @module
 */

export type { Clock, Timers } from "../backplane/mod.ts";
export type { MeshTotals } from "../mesh/mod.ts";
export type { RoomsTotals } from "../rooms/mod.ts";
export {
  instrument,
  type InstrumentOptions,
  type InstrumentSources,
  type MeshMetrics,
  type PresenceMetrics,
  type RoomsMetrics,
} from "./instrument.ts";
export { logEvents, type LogEventsOptions } from "./log_events.ts";
export type { InstrumentForm, Meter, ObservableInstrument, ObservableResult } from "./meter.ts";
