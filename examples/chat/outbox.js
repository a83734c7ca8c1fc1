/**
 * What has been typed and has not come back yet. One message is on its way at a time, so that they
 * arrive in order; one that a broken connection swallowed is sent again by the next. Should it have
 * got through after all, the others know it by its id and show it once.
 */

/** What one says comes back within milliseconds, unless something is wrong. */
const ECHO_TIMEOUT_MS = 5_000;

/** How long to wait when the server finds us too fast. */
const SLOW_DOWN_MS = 1_000;

export class Outbox {
  #waiting = [];
  #send;
  #stuck;
  #timer;
  #open = false;

  /**
   * @param {object} options
   * @param {(message: object) => void} options.send puts a message on its way
   * @param {() => void} options.stuck is called when one does not come back
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

  /** There is a connection: what waits is sent. */
  open() {
    this.#open = true;
    this.#next();
  }

  /** There is none: what was on its way may be lost, and stays. */
  close() {
    this.#open = false;
    clearTimeout(this.#timer);
  }

  /** A message is done with: it has come back, or been refused. */
  settle(id) {
    if (this.#waiting[0]?.id !== id) return;
    this.#waiting.shift();
    this.#next();
  }

  /** What is on its way, or will be next. */
  get first() {
    return this.#waiting[0];
  }

  /** The server finds us too fast. */
  slowDown() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#next(), SLOW_DOWN_MS);
  }

  /** What was meant for a room that one has left is not sent any more. */
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
