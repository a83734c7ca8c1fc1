/** The Socket.IO example as two processes, one of which is killed and started again. */

import { assertEquals } from "@std/assert";
import { io as connect, type Socket } from "socket.io-client";
import { within } from "../cluster/_chat_cluster.ts";
import { ExampleProcess } from "../cluster/_example_process.ts";
import { exampleOf } from "../cluster/_recipe.ts";

const ROOM = "red";

const example = await exampleOf("examples/socket_io/");

/** A client that comes back by itself when its server does, and then joins again. */
class Visitor implements AsyncDisposable {
  readonly heard: unknown[] = [];
  readonly #client: Socket;
  #changed = Promise.withResolvers<void>();

  constructor({ port }: ExampleProcess) {
    this.#client = connect(`http://127.0.0.1:${port}`, {
      forceNew: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 100,
      transports: ["websocket"],
    });
    this.#client.on("said", (message) => {
      this.heard.push(message);
      this.#changed.resolve();
    });
  }

  async join(): Promise<void> {
    if (!this.#client.connected) {
      const connected = new Promise<void>((resolve) => this.#client.once("connect", resolve));
      await within("a client being connected", connected);
    }
    await within("a client having joined", this.#client.emitWithAck("join", ROOM));
  }

  async isCutOff(): Promise<void> {
    if (!this.#client.connected) return;
    await new Promise<void>((resolve) => this.#client.once("disconnect", () => resolve()));
  }

  /** Speaks until another has heard it: between two servers, a room is known a moment later. */
  async reaches(other: Visitor, text: string): Promise<void> {
    const talking = setInterval(() => this.#client.emit("say", ROOM, text), 20);
    this.#client.emit("say", ROOM, text);
    try {
      await within(`a client hearing ${text}`, other.#hears(text));
    } finally {
      clearInterval(talking);
    }
  }

  async #hears(text: string): Promise<void> {
    while (!this.heard.includes(text)) {
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.isCutOff();
    this.#client.close();
    await ended;
  }
}

Deno.test("Socket.IO clients of two servers hear each other, even after a server was killed", async () => {
  await using one = await ExampleProcess.start(example);
  await using two = await ExampleProcess.start(example, { seeds: [one.address] });
  await using ann = new Visitor(one);
  await using ben = new Visitor(two);
  for (const visitor of [ann, ben]) await visitor.join();
  await ann.reaches(ben, "from one");
  await ben.reaches(ann, "from two");

  await two[Symbol.asyncDispose]();
  await within("Ben being cut off", ben.isCutOff());
  await using _again = await ExampleProcess.start(example, { seeds: [one.address], like: two });
  await ben.join();
  await ann.reaches(ben, "from one, again");
  await ben.reaches(ann, "from two, again");
  assertEquals(new Set(ann.heard), new Set(["from two", "from two, again"]));
});
