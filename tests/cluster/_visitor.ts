import { ChatClient } from "./_chat_client.ts";
import { within } from "./_chat_cluster.ts";
import type { Purpose } from "./_example_servers.ts";
import type { Target } from "./_hostile_client.ts";

/** A client that behaves, and wants what the example is for. */
class Visitor implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #heard: string[] = [];
  #changed = Promise.withResolvers<void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#hear(String(data)));
    socket.addEventListener("close", () => this.#hear("closed"));
  }

  static async connect({ port, path }: Target): Promise<Visitor> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    const visitor = new Visitor(socket);
    await within("a WebSocket opening", visitor.#opening());
    return visitor;
  }

  say(text: string): void {
    this.#socket.send(text);
  }

  async hears(text: string): Promise<void> {
    await within(`a visitor hearing ${text}`, this.#hears(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    while (this.#socket.readyState !== WebSocket.CLOSED) await this.#next();
  }

  async #opening(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket.addEventListener("open", () => resolve());
    this.#socket.addEventListener("error", () => reject(new Error("refused")));
    await promise;
  }

  async #hears(text: string): Promise<void> {
    while (!this.#heard.some((line) => line.includes(text))) {
      if (this.#socket.readyState === WebSocket.CLOSED) throw new Error("the socket has closed");
      await this.#next();
    }
  }

  async #next(): Promise<void> {
    await this.#changed.promise;
    this.#changed = Promise.withResolvers();
  }

  #hear(line: string): void {
    this.#heard.push(line);
    this.#changed.resolve();
  }
}

/**
 * Two clients come and get what the example is for: they join a room and one hears the other, or they
 * hear their own echo, or at least they are let in.
 */
export async function visit(target: Target, purpose: Purpose, text: string): Promise<void> {
  await using one = await Visitor.connect(target);
  await using two = await Visitor.connect(target);
  if (purpose === "nothing") return;
  const listener = purpose === "echo" ? one : two;
  // A socket of Deno joins when it opens on the server, which may be a moment later than here.
  const talking = setInterval(() => one.say(text), 50);
  one.say(text);
  try {
    await listener.hears(text);
  } finally {
    clearInterval(talking);
  }
}

/** The same at the example chat, which has a protocol of its own. */
export async function visitChat({ port }: Target, text: string): Promise<void> {
  const url = `http://127.0.0.1:${port}/`;
  await using ada = await ChatClient.join(url, "Ada", "lobby");
  await using mateo = await ChatClient.join(url, "Mateo", "lobby");
  ada.send({ type: "say", room: "lobby", text, id: "12345678" });
  if ((await mateo.next("said")).text !== text) throw new Error(`Mateo has not heard ${text}`);
}
