/**
 * Who is online: counts, lists, joins and leaves for the whole cluster, on top of `Rooms`.
 *
 * {@linkcode Presence} keeps the answer in memory on every node. It runs on the mesh, on NATS and
 * on Redis alike, and on a `Rooms` without a backplane.
 *
 * **What it promises.** Without faults, all nodes agree within a second of a change. On the mesh,
 * the ids of a node that is killed or frozen are gone with its `peerdown`; on a broker after
 * `timeoutMs`. A frozen node that wakes is back, and does not drop the others. The two halves of a
 * partition each see their own ids, and agree within a second of being linked again.
 *
 * **What it does not promise.** It says where sockets are, not where messages have arrived: it may
 * list an id whose message is still on its way. Two nodes may see the changes of two other nodes in
 * different order.
 *
 * **What it costs.** Each node holds every entry of the cluster, about 330 bytes each for short
 * names, and each change travels to every node. `docs/presence.md` has the figures.
 *
 * @example
 * ```ts
 * import { Presence } from "@roomcast/roomcast/presence";
 * import { Rooms } from "@roomcast/roomcast/rooms";
 * import { assertEquals } from "@std/assert";
 *
 * const rooms = new Rooms();
 * using presence = new Presence(rooms);
 * await presence.ready();
 * assertEquals(presence.count("lobby"), 0);
 * assertEquals(presence.list("lobby"), []);
 * assertEquals(presence.has("lobby", "ann"), false);
 * ```
 *
 * @module
 */

export type { Clock, RandomBytes, Timers } from "../backplane/mod.ts";
export type { RoomSocket } from "../rooms/mod.ts";
export { type PresenceEventMap, PresenceJoinEvent, PresenceLeaveEvent } from "./events.ts";
export type { PresenceOptions } from "./options.ts";
export { type AnyRooms, Presence, type PresenceListing, type PresenceTotals } from "./presence.ts";
