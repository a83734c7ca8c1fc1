import { guarded, type OnError } from "../backplane/errors.ts";

/** A function that hears a room. */
export type Listen = (message: string | Uint8Array, room: string) => void | Promise<void>;

/** A member that is a function. */
export class RoomListener implements Disposable {
  readonly room: string;
  readonly #listen: Listen;
  readonly #end: (listener: RoomListener) => void;
  #ended = false;

  /** `end` takes it out of its room. */
  constructor(room: string, listen: Listen, end: (listener: RoomListener) => void) {
    this.room = room;
    this.#listen = listen;
    this.#end = end;
  }

  /** Calls the function, unless it has been disposed in the meantime. */
  call(message: string | Uint8Array, onError: OnError): void {
    if (!this.#ended) guarded(() => this.#listen(message, this.room), onError);
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#end(this);
  }
}

interface Call {
  readonly listener: RoomListener;
  readonly message: string | Uint8Array;
}

/**
 * Calls listeners after whoever broadcasts has finished, in the order of the broadcasts. What waits
 * is what has been broadcast since the microtask before.
 */
export class ListenerCalls {
  readonly #onError: OnError;
  #calls: Call[] = [];

  /** `onError` gets what listeners throw. */
  constructor(onError: OnError) {
    this.#onError = onError;
  }

  /** Has listeners called with a message. Each gets bytes of its own. */
  add(listeners: readonly RoomListener[], message: string | Uint8Array): void {
    if (this.#calls.length === 0) queueMicrotask(() => this.#run());
    for (const listener of listeners) {
      const own = typeof message === "string" ? message : new Uint8Array(message);
      this.#calls.push({ listener, message: own });
    }
  }

  #run(): void {
    const calls = this.#calls;
    this.#calls = [];
    for (const { listener, message } of calls) listener.call(message, this.#onError);
  }
}
