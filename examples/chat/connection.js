/**
 * A WebSocket that comes back: after a while that grows with each failure and is drawn by lot, lest
 * all pages of a node that died knock at once; to its own node first, and to the others in turn if
 * that stays away.
 *
 * Events: "up" when there is a connection, "frame" { detail: a frame of the server }, and "down"
 * whenever a connection is lost or could not be made.
 */

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 8_000;

/** How often the own node is tried before the others are as well. */
const PATIENCE = 2;

/** A node that is stuck accepts a connection and never answers: silence has its limits. */
const ANSWER_TIMEOUT_MS = 4_000;
const PING_INTERVAL_MS = 10_000;

/** The close code of a node that is stopping. */
const GOING_AWAY = 1001;

/**
 * Where to try next, and when.
 *
 * @param {number} failures since the last connection that worked; 1 when it has just broken.
 * @param {string} home the URL to prefer
 * @param {string[]} others the URLs to fall back to
 * @param {number} random from 0 to below 1
 */
export function nextAttempt(failures, home, others, random) {
  const delayMs = random * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
  const turns = [...others, home];
  const url = failures <= PATIENCE ? home : turns[(failures - PATIENCE - 1) % turns.length];
  return { delayMs, url };
}

export class Connection extends EventTarget {
  #home;
  #others = [];
  #failures = 0;
  #socket;
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

  /** Begins. */
  connect() {
    this.#open(this.#home);
  }

  /** Where else the chat can be reached. @param {string[]} urls */
  setOthers(urls) {
    this.#others = urls.filter((url) => url !== this.#home);
  }

  /** Sends a frame, if there is a connection. */
  send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Gives up on the present connection, which does not seem to work, and makes another. */
  reset() {
    this.#lost(this.#socket, { hopeless: true });
  }

  #open(url) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#expectAnswer(socket);
    let silent = true;
    socket.addEventListener("message", ({ data }) => {
      if (socket !== this.#socket) return;
      // A node speaks first. Only then is it clear that it is there at all.
      if (silent) this.#settle(url);
      silent = false;
      this.#allowSilence(socket);
      this.dispatchEvent(new CustomEvent("frame", { detail: JSON.parse(data) }));
    });
    socket.addEventListener("close", ({ code }) => {
      this.#lost(socket, { hopeless: code === GOING_AWAY });
    });
  }

  /** It works: this node is home now. */
  #settle(url) {
    const before = this.#home;
    this.#failures = 0;
    this.#home = url;
    this.setOthers([...this.#others, before]);
    this.dispatchEvent(new Event("up"));
  }

  /** A node that has said goodbye, or is stuck, is `hopeless`: others are tried at once. */
  #lost(socket, { hopeless }) {
    if (socket === undefined || socket !== this.#socket) return;
    this.#socket = undefined;
    clearTimeout(this.#silenceTimer);
    socket.close();
    this.#failures = (hopeless ? Math.max(this.#failures, PATIENCE) : this.#failures) + 1;
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
    this.#silenceTimer = setTimeout(
      () => this.#lost(socket, { hopeless: true }),
      ANSWER_TIMEOUT_MS,
    );
  }
}
