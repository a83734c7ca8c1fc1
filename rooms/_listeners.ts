import { guarded, type OnError } from "../backplane/errors.ts";

/** A function that receives the messages of a room. */
export type Listen = (message: string | Uint8Array, room: string) => void | Promise<void>;

/** A member that is a function. */
export class RoomListener implements Disposable {
  readonly room: string;
  readonly #listen: Listen;
  readonly #end: (listener: RoomListener) => void;
  #ended = false;

  /** `end` removes it from its room. */
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
 * Calls listeners in the order of the broadcasts, in a microtask after the code that broadcasts. So
 * calls wait only until then.
 */
export class ListenerCalls {
  readonly #onError: OnError;
  #calls: Call[] = [];

  /** `onError` gets what listeners throw. */
  constructor(onError: OnError) {
    this.#onError = onError;
  }

  /** Queues a call of each listener with a message. Each gets its own copy of bytes. */
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
