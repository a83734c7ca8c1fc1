import { guarded, type OnError } from "./_errors.ts";

/**
 * Wraps event listeners, so that what they throw goes to `onError`. An `EventTarget` would report
 * it to the platform, which ends a Deno process.
 */
export class EventGuards {
  readonly #onError: OnError;
  /** One wrapper for each listener, so that adding it twice is adding it once. */
  readonly #wrappers = new WeakMap<EventListenerOrEventListenerObject, EventListener>();

  /** `onError` gets what listeners throw. */
  constructor(onError: OnError) {
    this.#onError = onError;
  }

  /** The wrapper of a listener. */
  wrap(listener: EventListenerOrEventListenerObject | null): EventListener | null {
    if (listener === null) return null;
    let wrapper = this.#wrappers.get(listener);
    if (wrapper === undefined) {
      wrapper = (event) =>
        guarded(
          () =>
            typeof listener === "function"
              ? listener.call(event.currentTarget, event)
              : listener.handleEvent(event),
          this.#onError,
        );
      this.#wrappers.set(listener, wrapper);
    }
    return wrapper;
  }
}
