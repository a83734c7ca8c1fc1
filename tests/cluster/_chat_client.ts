import type { ClientFrame, ServerFrame } from "../../examples/chat/frames.ts";
import { within } from "./_chat_cluster.ts";

/** Talks to a node as a page does, and as no page would. */
export class ChatClient implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #frames: ServerFrame[] = [];
  #arrived = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<CloseEvent>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.#frames.push(JSON.parse(data));
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    });
    socket.addEventListener("close", (event) => this.#closed.resolve(event));
  }

  /** Connects to the node whose page is at `url`. */
  static async connect(url: string): Promise<ChatClient> {
    const client = new ChatClient(new WebSocket(new URL("/chat", url).href.replace(/^http/, "ws")));
    await client.next("cluster");
    return client;
  }

  /** Connects, says hello and joins a room. */
  static async join(url: string, name: string, room: string): Promise<ChatClient> {
    const client = await ChatClient.connect(url);
    client.send({ type: "hello", name });
    client.send({ type: "join", room, back: false });
    await client.ping();
    return client;
  }

  send(frame: ClientFrame): void {
    this.sendRaw(JSON.stringify(frame));
  }

  sendRaw(data: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(data);
  }

  /** The next frame of a type, those before it left out. */
  async next<Type extends ServerFrame["type"]>(type: Type): Promise<ServerFrame & { type: Type }> {
    return await within(`a frame of type ${type}`, this.#next(type));
  }

  /** The next frame of any type; undefined if the node closes the connection instead. */
  async nextOrClosed(): Promise<ServerFrame | undefined> {
    while (this.#frames.length === 0 && this.#socket.readyState !== WebSocket.CLOSED) {
      await within("an answer", Promise.race([this.#arrived.promise, this.#closed.promise]));
    }
    return this.#frames.shift();
  }

  /** Resolves when the node has dealt with everything that has been sent. */
  async ping(): Promise<void> {
    this.send({ type: "ping" });
    await this.next("pong");
  }

  /** How the node has closed the connection. */
  async closed(): Promise<CloseEvent> {
    return await within("the node closing the connection", this.#closed.promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#closed.promise;
  }

  async #next<Type extends ServerFrame["type"]>(
    type: Type,
  ): Promise<ServerFrame & { type: Type }> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame === undefined) await this.#arrived.promise;
      else if (isOf(type, frame)) return frame;
    }
  }
}

function isOf<Type extends ServerFrame["type"]>(
  type: Type,
  frame: ServerFrame,
): frame is ServerFrame & { type: Type } {
  return frame.type === type;
}
