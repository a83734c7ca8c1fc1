import type { FrameErrorCode } from "../codec/mod.ts";

/**
 * An event of a backplane. What it tells stands in `detail`, as in every `CustomEvent`, and for
 * convenience on the event itself.
 */
export type BackplaneEvent<Detail> = CustomEvent<Detail> & Detail;

/** An event target that knows its events: `Details` has what each tells, by name. */
export interface BackplaneEventTarget<Details> extends EventTarget {
  /** Has `listener` called with each event of a type. */
  addEventListener<Type extends keyof Details & string>(
    type: Type,
    listener: (event: BackplaneEvent<Details[Type]>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** As any event target. */
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** Calls a listener off. */
  removeEventListener<Type extends keyof Details & string>(
    type: Type,
    listener: (event: BackplaneEvent<Details[Type]>) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  /** As any event target. */
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** What each event of a backplane over an engine (NATS, Redis) tells. */
export interface BrokerEventDetails {
  /**
   * The engine is within reach again, in both directions. `dropped` counts the messages dropped
   * since it was so before.
   */
  up: { readonly dropped: number };
  /**
   * The engine is out of reach. Unless `sends`, what is published is dropped until `up`; unless
   * `hears`, what others publish is missed. `unconfirmed` counts the messages that it had been handed
   * and had not confirmed: each may have arrived or be lost. With two connections to an engine
   * (Redis) there is an event for each, and another if one breaks again before `up`.
   */
  down: { readonly sends: boolean; readonly hears: boolean; readonly unconfirmed: number };
  /** What came from the engine could not be decoded, and was dropped. */
  malformed: { readonly code: FrameErrorCode };
  /**
   * A message did not fit what the engine has not confirmed yet (`maxQueuedBytes`). Sent once when
   * this begins, and again only after half of that is confirmed; `dropped` counts all messages
   * dropped so far, for whatever reason.
   */
  overflow: { readonly dropped: number };
  /**
   * The engine refused to publish on a topic or to subscribe to it, for want of permission for
   * instance. A message is lost then, and counted as dropped; a subscription is tried again when
   * the connection is made anew, or its room is opened again.
   */
  refused: { readonly topic: string; readonly cause: unknown };
}

/** Makes an event. */
export function backplaneEvent<Detail extends object>(type: string, detail: Detail): Event {
  return Object.assign(new CustomEvent(type, { detail }), detail);
}
