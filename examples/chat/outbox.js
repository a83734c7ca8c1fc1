/**
 * Messages that the user has typed and that have not come back yet. The outbox sends one message at a
 * time, so that they arrive in order. If a connection breaks, it sends the message again over the next
 * one. If the message had arrived after all, the other pages recognise its id and show it only once.
 */

/** A message comes back within milliseconds, unless something is wrong. */
const ECHO_TIMEOUT_MS = 5_000;

/** How long to wait when the server says that we send too fast. */
const SLOW_DOWN_MS = 1_000;

export class Outbox {
  #waiting = [];
  #send;
  #stuck;
  #timer;
  #open = false;

  /**
   * @param {object} options
   * @param {(message: object) => void} options.send sends a message
   * @param {() => void} options.stuck is called when a message does not come back
   */
  constructor({ send, stuck }) {
    this.#send = send;
    this.#stuck = stuck;
  }

  /** @param {{ id: string, room: string, text: string }} message */
  add(message) {
    this.#waiting.push(message);
    if (this.#waiting.length === 1) this.#next();
  }

  /** The connection is up: sends the waiting messages. */
  open() {
    this.#open = true;
    this.#next();
  }

  /** The connection is down: keeps the message in flight, which may be lost. */
  close() {
    this.#open = false;
    clearTimeout(this.#timer);
  }

  /** Removes a message that has come back or been refused. */
  settle(id) {
    if (this.#waiting[0]?.id !== id) return;
    this.#waiting.shift();
    this.#next();
  }

  /** The message that is in flight, or will be next. */
  get first() {
    return this.#waiting[0];
  }

  /** The server says that we send too fast. */
  slowDown() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#next(), SLOW_DOWN_MS);
  }

  /** Removes the messages for a room that the user has left. */
  forget(room) {
    const first = this.#waiting[0];
    this.#waiting = this.#waiting.filter((message) => message.room !== room);
    if (this.#waiting[0] !== first) this.#next();
  }

  #next() {
    clearTimeout(this.#timer);
    const message = this.#waiting[0];
    if (!this.#open || message === undefined) return;
    this.#timer = setTimeout(this.#stuck, ECHO_TIMEOUT_MS);
    this.#send(message);
  }
}
