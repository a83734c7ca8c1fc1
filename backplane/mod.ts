/**
 * The port between rooms and whatever connects nodes. `Rooms` publishes and subscribes through a
 * {@linkcode Backplane}; the mesh and the brokers implement it.
 *
 * To write a backplane of your own, implement the interface. {@linkcode checkMessage} checks a
 * message that is to be published, and {@linkcode Receivers} keeps the subscriptions.
 * {@linkcode Backplane} has an example.
 *
 * @example A backplane for a single node
 * ```ts
 * import { Rooms } from "@roomcast/roomcast/rooms";
 * import { type Backplane, Receivers } from "@roomcast/roomcast/backplane";
 *
 * const receivers = new Receivers();
 * const backplane: Backplane = {
 *   publish(message, from) {
 *     receivers.deliverLocally(message, undefined, from);
 *     return { peers: 0, dropped: 0 };
 *   },
 *   subscribe: (receive) => receivers.add(receive),
 * };
 * // Two Rooms on one backplane reach each other.
 * const [a, b] = [new Rooms({ backplane }), new Rooms({ backplane })];
 * b.broadcast("lobby", "hello");
 * a[Symbol.dispose]();
 * b[Symbol.dispose]();
 * ```
 *
 * @module
 */

export type { FrameErrorCode } from "../codec/mod.ts";
export type { Backplane, PublishReport } from "./backplane.ts";
export { checkMessage } from "./check_message.ts";
export type { Clock, RandomBytes, Timers } from "./clock.ts";
export {
  MalformedEvent,
  MissedEvent,
  NodeDownEvent,
  OverflowEvent,
  RefusedEvent,
} from "./events.ts";
export type { OnError } from "./errors.ts";
export { GuardedEventTarget } from "./guarded_event_target.ts";
export { type Receive, Receivers } from "./receivers.ts";
export type { TypedEventTarget } from "./typed_event_target.ts";
