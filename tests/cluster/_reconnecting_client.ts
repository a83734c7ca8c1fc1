/** A time without any connection. */
export interface Gap {
  /** The last number that was heard before, and the last that had been said when it began. */
  readonly lastHeard: number;
  readonly saidAtClose: number;
  /** The last number that had been said when there was a connection again. */
  readonly saidAtOpen: number;
}

/** Listens for numbers through one or more connections, each of which is replaced when it closes. */
export class ReconnectingClient {
  readonly heard = new Set<number>();
  readonly gaps: Gap[] = [];
  /** Codes with which connections were closed. */
  readonly codes = new Set<number>();
  readonly #url: string;
  readonly #lastSaid: () => number;
  readonly #sockets = new Set<WebSocket>();
  #lastHeard = -1;
  #gap: Omit<Gap, "saidAtOpen"> | undefined;
  #stopping = false;
  #changed = Promise.withResolvers<void>();

  /** `lastSaid` tells the last number that has been broadcast. */
  constructor(url: string, lastSaid: () => number) {
    this.#url = url;
    this.#lastSaid = lastSaid;
  }

  /** Opens one more connection, however often that takes. */
  async connect(): Promise<void> {
    while (!this.#stopping) {
      const socket = new WebSocket(this.#url);
      if (await opens(socket)) return this.#add(socket);
    }
  }

  /** Resolves with the next message. */
  async hearsNext(): Promise<void> {
    await this.#changed.promise;
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    this.#stopping = true;
    await Promise.all(Array.from(this.#sockets, (socket) => {
      const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
      socket.close();
      return closed;
    }));
  }

  #add(socket: WebSocket): void {
    this.#sockets.add(socket);
    if (this.#gap) this.gaps.push({ ...this.#gap, saidAtOpen: this.#lastSaid() });
    this.#gap = undefined;
    socket.addEventListener("message", ({ data }) => {
      this.#lastHeard = Math.max(this.#lastHeard, Number(data));
      this.heard.add(Number(data));
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
    socket.addEventListener("close", ({ code }) => {
      this.#sockets.delete(socket);
      if (this.#stopping) return;
      this.codes.add(code);
      if (this.#sockets.size === 0) {
        this.#gap = { lastHeard: this.#lastHeard, saidAtClose: this.#lastSaid() };
      }
      this.connect();
    });
  }
}

async function opens(socket: WebSocket): Promise<boolean> {
  return await new Promise((resolve) => {
    socket.addEventListener("open", () => resolve(true), { once: true });
    socket.addEventListener("error", () => resolve(false), { once: true });
  });
}
