import { guarded, type OnError } from "./errors.ts";
import type { TypedEventTarget } from "./typed_event_target.ts";

type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

/** A listener as the platform's `EventTarget` takes it, whichever types the program has. */
type EventTargetListener = Parameters<EventTarget["addEventListener"]>[1];

/**
 * An event target whose listeners cannot do harm: what one throws, or what its promise rejects with,
 * goes to a function. A plain `EventTarget` would report it to the platform, which ends a Deno process.
 *
 * @example
 * ```ts
 * import { GuardedEventTarget, MissedEvent } from "@roomcast/roomcast/backplane";
 * import { assertEquals } from "@std/assert";
 *
 * const errors: unknown[] = [];
 * const target = new GuardedEventTarget<{ missed: MissedEvent }>((error) => errors.push(error));
 * target.addEventListener("missed", ({ count }) => {
 *   throw `missed ${count}`;
 * });
 * target.dispatchEvent(new MissedEvent(undefined, undefined, 5));
 * assertEquals(errors, ["missed 5"]);
 * ```
 */
export class GuardedEventTarget<Events> extends EventTarget implements TypedEventTarget<Events> {
  readonly #onError: OnError;
  readonly #listened: Set<string>;
  /** One wrapper for each listener, so that adding it twice is adding it once. */
  readonly #wrappers = new WeakMap<Listener, EventTargetListener>();

  /**
   * Starts without listeners.
   *
   * @param onError gets what listeners throw; must not throw itself.
   * @param listened gets the types that listeners have been added for: other events need not be made.
   */
  constructor(onError: OnError, listened: Set<string> = new Set()) {
    super();
    this.#onError = onError;
    this.#listened = listened;
  }

  /** Calls `listener` with each event of a type. The target reports what it throws. */
  override addEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: (event: Events[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** As any event target. */
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: unknown,
    options?: boolean | AddEventListenerOptions,
  ): void {
    this.#listened.add(type);
    super.addEventListener(type, this.#wrap(listener as Listener | null), options);
  }

  /** Removes a listener. */
  override removeEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: (event: Events[Type]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  /** As any event target. */
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: unknown,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, this.#wrap(listener as Listener | null), options);
  }

  #wrap(listener: Listener | null): EventTargetListener {
    if (listener === null) return null;
    let wrapper = this.#wrappers.get(listener);
    if (wrapper === undefined) {
      const onEvent = (event: Event) => guarded(() => call(listener, event), this.#onError);
      wrapper = onEvent as EventTargetListener;
      this.#wrappers.set(listener, wrapper);
    }
    return wrapper;
  }
}

function call(listener: Listener, event: Event): unknown {
  if (typeof listener === "function") return listener.call(event.currentTarget, event);
  return listener.handleEvent(event);
}
