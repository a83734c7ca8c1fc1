/**
 * Telemetry: what happens in a cluster, as lines in a log.
 *
 * Nothing in the library imports this folder. It listens to events that are there anyway.
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

export { logEvents, type LogEventsOptions } from "./log_events.ts";
