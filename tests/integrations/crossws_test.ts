/** The crossws example as two processes: what is published on one is heard on both. */

import { assertEquals } from "@std/assert";
import { within } from "../cluster/_chat_cluster.ts";
import { ExampleProcess } from "../cluster/_example_process.ts";
import { exampleOf } from "../cluster/_recipe.ts";

const MESSAGES = 200;

const example = await exampleOf("examples/crossws/");

class Client implements AsyncDisposable {
  readonly heard: (string | Uint8Array)[] = [];
  readonly #socket: WebSocket;
  #changed = Promise.withResolvers<void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      this.heard.push(typeof data === "string" ? data : new Uint8Array(data));
      this.#changed.resolve();
    });
  }

  static async connect(server: ExampleProcess, room: string): Promise<Client> {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/${room}`);
    const client = new Client(socket);
    const opening = new Promise((resolve) => socket.addEventListener("open", resolve));
    await within("a WebSocket opening", opening);
    return client;
  }

  say(message: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(message);
  }

  /** Resolves when it has heard a text. */
  async hears(text: string): Promise<void> {
    while (!this.heard.includes(text)) {
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.addEventListener("close", resolve));
    this.#socket.close();
    await closed;
  }
}

Deno.test("a message published with crossws reaches the subscribers of both servers", async () => {
  await using one = await ExampleProcess.start(example);
  await using two = await ExampleProcess.start(example, { seeds: [one.address] });
  await within("a link", Promise.all([one.says(/chat-1/), two.says(/chat-1/)]));
  await using ann = await Client.connect(one, "lobby");
  await using ben = await Client.connect(one, "lobby");
  await using cem = await Client.connect(two, "lobby");
  await using elsewhere = await Client.connect(two, "hall");
  // A socket of Deno subscribes when it opens on the server, which may be a moment later than here.
  for (const client of [ann, cem]) {
    const other = client === ann ? cem : ann;
    const calling = setInterval(() => client.say("hello?"), 20);
    await within("a client being heard", Promise.all([ben.hears("hello?"), other.hears("hello?")]));
    clearInterval(calling);
  }
  for (const client of [ann, ben, cem]) client.heard.length = 0;

  const bytes = Uint8Array.of(0, 200, 255);
  ann.say(bytes);
  ann.say("é😀");
  for (let i = 0; i < MESSAGES; i++) ann.say(`${i}`);
  ann.say("end");
  await within("the end", Promise.all([ben.hears("end"), cem.hears("end")]));
  const expected = [bytes, "é😀", ...Array.from({ length: MESSAGES }, (_, i) => `${i}`), "end"];
  for (const { heard } of [ben, cem]) {
    assertEquals(heard.filter((message) => message !== "hello?"), expected);
  }
  assertEquals(ann.heard.filter((message) => message !== "hello?"), []);
  assertEquals(elsewhere.heard, []);
});
