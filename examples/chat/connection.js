/**
 * A WebSocket that reconnects. The first try goes to another node at once, because a lost connection
 * usually means that the node has gone. Further tries take all nodes in turn, after delays that grow
 * and are random, so that the pages of a dead node do not all arrive together.
 *
 * A node that is being stopped says so first. Then the next connection is made before this one is given
 * up, so that nothing is missed.
 *
 * Events: "up" when there is a connection, "frame" { detail: a frame of the server }, and "down"
 * whenever a connection is lost or could not be made.
 */

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 8_000;

/** A node that is stuck accepts a connection and never answers: silence has its limits. */
const ANSWER_TIMEOUT_MS = 4_000;
const PING_INTERVAL_MS = 10_000;

/** The pages of a node that is being stopped do not all move at once. */
const MOVE_SPREAD_MS = 300;

/**
 * How long both connections are kept. Nodes do not hear a message at the same moment: one that the new
 * node had heard before we joined may still be on its way to the old one.
 */
const OVERLAP_MS = 300;

/**
 * Where to try next, and when.
 *
 * @param {number} failures since the last connection that worked; 1 when it has just broken
 * @param {string} home the URL of the last connection that worked
 * @param {string[]} others the URLs of all other nodes
 * @param {number} random from 0 to below 1
 */
export function nextAttempt(failures, home, others, random) {
  const delayMs = random * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
  const turns = [...others, home];
  return { delayMs, url: turns[(failures - 1) % turns.length] };
}

export class Connection extends EventTarget {
  #home;
  #others = [];
  #failures = 0;
  #socket;
  /** The connection that will replace the present one, until its node has said something. */
  #successor;
  /** The connection before, until everything that it had joined is joined again. */
  #predecessor;
  #next;
  #retryTimer;
  #silenceTimer;

  /** @param {string} home the URL of the WebSocket to begin with */
  constructor(home) {
    super();
    this.#home = home;
    // No need to wait for the timer when something has changed for the better.
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => this.#hurry());
  }

  /** Makes the first connection. */
  connect() {
    this.#open(this.#home);
  }

  /**
   * Where else the chat can be reached. Each page has its own order, so that the pages of a dead
   * node spread over all others.
   *
   * @param {string[]} urls
   */
  setOthers(urls) {
    const known = this.#others.filter((url) => urls.includes(url));
    const added = urls.filter((url) => url !== this.#home && !known.includes(url));
    this.#others = [...known, ...added.sort(() => Math.random() - 0.5)];
  }

  /** Sends a frame, if there is a connection. */
  send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Gives up on the present connection, which does not seem to work, and makes another. */
  reset() {
    this.#lost(this.#socket);
  }

  #open(url) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#socket = this.#dial(url);
    this.#expectAnswer(this.#socket);
  }

  #dial(url) {
    const socket = new WebSocket(url);
    let silent = true;
    socket.addEventListener("message", ({ data }) => {
      const frame = JSON.parse(data);
      if (socket === this.#predecessor && frame.type === "said") this.#tell(frame);
      if (socket === this.#successor) this.#changeOver();
      if (socket !== this.#socket) return;
      // A node speaks first. Only then is it clear that it is there at all.
      if (silent) this.#settle(url);
      silent = false;
      this.#allowSilence(socket);
      if (frame.type === "stopping") {
        setTimeout(() => this.#moveFrom(socket), Math.random() * MOVE_SPREAD_MS);
      } else if (frame.type === "pong") setTimeout(() => this.#dropPredecessor(), OVERLAP_MS);
      else this.#tell(frame);
    });
    socket.addEventListener("close", () => {
      if (socket === this.#successor) this.#successor = undefined;
      this.#lost(socket);
    });
    return socket;
  }

  #tell(frame) {
    this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
  }

  /** The node is being stopped, but this connection still works: another is made meanwhile. */
  #moveFrom(socket) {
    if (socket !== this.#socket || this.#successor !== undefined) return;
    if (this.#others.length > 0) this.#successor = this.#dial(this.#others[0]);
  }

  #changeOver() {
    this.#predecessor = this.#socket;
    this.#socket = this.#successor;
    this.#successor = undefined;
  }

  #dropPredecessor() {
    this.#predecessor?.close();
    this.#predecessor = undefined;
  }

  /** The connection works, so this node is home now. */
  #settle(url) {
    const urls = [...this.#others, this.#home];
    this.#failures = 0;
    this.#home = url;
    this.#others = urls.filter((other) => other !== url);
    this.dispatchEvent(new Event("up"));
    // What was sent at "up" has been dealt with when this is answered.
    if (this.#predecessor !== undefined) this.send({ type: "ping" });
  }

  #lost(socket) {
    if (socket === undefined || socket !== this.#socket) return;
    this.#socket = undefined;
    clearTimeout(this.#silenceTimer);
    socket.close();
    this.#dropPredecessor();
    this.#failures++;
    const { delayMs, url } = nextAttempt(this.#failures, this.#home, this.#others, Math.random());
    this.#next = url;
    this.#retryTimer = setTimeout(() => this.#open(url), delayMs);
    this.dispatchEvent(new Event("down"));
  }

  #hurry() {
    if (this.#retryTimer !== undefined && !document.hidden) this.#open(this.#next);
  }

  /** After a while without a word, asks for a sign of life. */
  #allowSilence(socket) {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => {
      this.send({ type: "ping" });
      this.#expectAnswer(socket);
    }, PING_INTERVAL_MS);
  }

  #expectAnswer(socket) {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#lost(socket), ANSWER_TIMEOUT_MS);
  }
}
