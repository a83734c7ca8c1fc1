import { guarded, type OnError } from "./_errors.ts";

/** What `addEventListener` takes. */
export type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

/** A listener as the platform's `EventTarget` takes it, whichever types the program has. */
type EventTargetListener = Parameters<EventTarget["addEventListener"]>[1];

/**
 * Wraps event listeners, so that what they throw goes to `onError`. An `EventTarget` would report
 * it to the platform, which ends a Deno process.
 */
export class EventGuards {
  readonly #onError: OnError;
  /** One wrapper for each listener, so that adding it twice is adding it once. */
  readonly #wrappers = new WeakMap<Listener, EventTargetListener>();

  /** `onError` gets what listeners throw. */
  constructor(onError: OnError) {
    this.#onError = onError;
  }

  /** The wrapper of a listener. */
  wrap(listener: Listener | null): EventTargetListener {
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
