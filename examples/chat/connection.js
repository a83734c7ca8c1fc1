/**
 * A WebSocket that reconnects. The first attempt goes to another node at once, because a lost
 * connection usually means that the node has gone. Further attempts take all nodes in turn, after
 * random delays that grow, so that the pages of a dead node do not all arrive together.
 *
 * A node announces that it is stopping. The page then makes the next connection before it gives up
 * this one, so it misses nothing.
 *
 * Events: "up" when there is a connection, "frame" { detail: a frame of the server }, and "down" when
 * a connection is lost or an attempt fails.
 */

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 8_000;

/** A node that is stuck accepts a connection and never answers, so silence has a limit. */
const ANSWER_TIMEOUT_MS = 4_000;
const PING_INTERVAL_MS = 10_000;

/** The pages of a node that is stopping do not all move at once. */
const MOVE_SPREAD_MS = 300;

/**
 * How long the page keeps both connections. A message does not reach all nodes at the same moment: the
 * new node may have got it before the page joined, while it is still on its way to the old node.
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
  /** The connection that will replace the present one, until its node has sent something. */
  #successor;
  /** The previous connection, until the new one has joined all of its rooms. */
  #predecessor;
  #next;
  #retryTimer;
  #silenceTimer;

  /** @param {string} home the URL of the WebSocket to begin with */
  constructor(home) {
    super();
    this.#home = home;
    // Reconnects without waiting for the timer when the browser is back online or the page is shown.
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => this.#hurry());
  }

  /** Makes the first connection. */
  connect() {
    this.#open(this.#home);
  }

  /**
   * Sets the URLs of the other nodes. Each page shuffles them, so that the pages of a dead node spread
   * over all others.
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

  /** Gives up the present connection, which does not seem to work, and makes another. */
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
      // A node speaks first. Until then, nobody knows whether it works.
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

  /** The node is stopping, but this connection still works: makes another one meanwhile. */
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
    // The answer to this ping shows that the node has handled everything sent at "up".
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

  /** Pings the node after some time without a frame. */
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
