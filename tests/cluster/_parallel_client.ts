import { within } from "./_chat_cluster.ts";
import type { ParallelServer } from "./_parallel_server.ts";

/** A WebSocket client of the example for several cores, and what it hears. */
export class ParallelClient {
  /** Name of the node that it is connected to. */
  readonly node: string;
  readonly heard: string[] = [];
  readonly #socket: WebSocket;
  #changed = Promise.withResolvers<void>();

  private constructor(socket: WebSocket, node: string) {
    this.#socket = socket;
    this.node = node;
    socket.addEventListener("message", ({ data }) => {
      this.heard.push(data);
      this.#changed.resolve();
    });
  }

  static async connect(port: number, room: string): Promise<ParallelClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${room}`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    socket.addEventListener("message", ({ data }) => resolve(data), { once: true });
    socket.addEventListener("error", () => reject(new Error("no WebSocket")), { once: true });
    const greeting = await within("a greeting", promise);
    return new ParallelClient(socket, greeting.replace(/^You are on (.*)\.$/, "$1"));
  }

  /** One client on each of these workers of a server. */
  static async onEach(
    server: ParallelServer,
    workers: readonly string[],
    room: string,
  ): Promise<ParallelClient[]> {
    const wait = async () => {
      const clients = new Map<string, ParallelClient>();
      while (clients.size < workers.length) {
        const client = await ParallelClient.connect(server.port, room);
        if (clients.has(client.node) || !workers.includes(client.node)) await client.close();
        else clients.set(client.node, client);
      }
      return [...clients.values()];
    };
    return await within(`clients on ${workers.join()}`, wait());
  }

  say(text: string): void {
    this.#socket.send(text);
  }

  async hears(text: string): Promise<void> {
    const wait = async () => {
      while (!this.heard.includes(text)) {
        await this.#changed.promise;
        this.#changed = Promise.withResolvers();
      }
    };
    await within(`hearing ${text}`, wait());
  }

  async close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise((resolve) => this.#socket.addEventListener("close", resolve));
    this.#socket.close();
    await within("a socket closing", closed);
  }
}
