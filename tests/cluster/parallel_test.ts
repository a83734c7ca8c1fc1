/**
 * `deno serve --parallel` as people use it: real processes, each with several workers at one port,
 * and sockets that are on different workers, whichever the system has chosen.
 */

import { assert, assertEquals } from "@std/assert";
import { freePort } from "../../examples/chat/cluster_plan.ts";
import { lines } from "../../examples/chat/node_process.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { within } from "./_chat_cluster.ts";

const SCRIPT = new URL("../../examples/parallel/server.ts", import.meta.url).href;
const WORKERS = 3;

/** What a server says of itself to those who ask. */
interface Answer {
  readonly worker: string;
  readonly others: number;
  readonly isLinked: boolean;
}

/** One process with several workers. */
class ParallelServer implements AsyncDisposable {
  readonly name: string;
  readonly #port = freePort();
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<void[]>;
  readonly said: string[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(seeds: readonly ParallelServer[]) {
    const meshPort = freePort();
    this.name = `server@127.0.0.1:${meshPort}`;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["serve", "--no-prompt", "--parallel", "--allow-net", "--allow-env"],
        ...["--host", "127.0.0.1", "--port", String(this.#port), SCRIPT],
      ],
      env: {
        DENO_JOBS: String(WORKERS),
        NODE_NAME: this.name,
        ROOMCAST_COOKIE: COOKIE,
        SEEDS: seeds.map(({ name }) => name).join(),
        NO_COLOR: "1",
      },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const line of lines(stream)) {
        this.said.push(line);
        this.#changed.resolve();
      }
    };
    this.#output = Promise.all([read(this.#child.stdout), read(this.#child.stderr)]);
  }

  /** Resolves when a line that matches has been printed. */
  async says(pattern: RegExp): Promise<void> {
    const wait = async () => {
      while (!this.said.some((line) => pattern.test(line))) {
        await this.#changed.promise;
        this.#changed = Promise.withResolvers();
      }
    };
    await within(`${this.name} saying ${pattern}`, wait());
  }

  /** Resolves when all workers know each other and the gateway. */
  async ready(): Promise<void> {
    await this.says(/Listening/);
    const wait = async () => {
      const met = new Set<string>();
      while (met.size < WORKERS) {
        // A new connection each time, so that the system may choose another worker.
        using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
        const response = await fetch(`http://127.0.0.1:${this.#port}/`, { client });
        const { worker, others, isLinked }: Answer = await response.json();
        if (others === WORKERS - 1 && isLinked) met.add(worker);
      }
    };
    await within(`all workers of ${this.name}`, wait());
  }

  /** A socket on each worker. */
  async connectToEach(room: string): Promise<Client[]> {
    const wait = async () => {
      const clients = new Map<string, Client>();
      while (clients.size < WORKERS) {
        const client = await Client.connect(`ws://127.0.0.1:${this.#port}/${room}`);
        if (clients.has(client.worker)) await client.close();
        else clients.set(client.worker, client);
      }
      return [...clients.values()];
    };
    return await within(`a socket on each worker of ${this.name}`, wait());
  }

  /** Ends it as `deno serve` is ended, and returns how that was. */
  async stop(): Promise<Deno.CommandStatus> {
    this.#child.kill("SIGTERM");
    try {
      return await within(`${this.name} ending`, this.#child.status);
    } catch (error) {
      this.#child.kill("SIGKILL");
      throw error;
    } finally {
      await this.#output;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    await this.#output;
  }
}

/** A socket, and what it hears. */
class Client {
  readonly worker: string;
  readonly heard: string[] = [];
  readonly #socket: WebSocket;
  #changed = Promise.withResolvers<void>();

  private constructor(socket: WebSocket, worker: string) {
    this.#socket = socket;
    this.worker = worker;
    socket.addEventListener("message", ({ data }) => {
      this.heard.push(data);
      this.#changed.resolve();
    });
  }

  static async connect(url: string): Promise<Client> {
    const socket = new WebSocket(url);
    const { promise, resolve } = Promise.withResolvers<MessageEvent<string>>();
    socket.addEventListener("message", resolve, { once: true });
    const { worker }: { worker: string } = JSON.parse((await within("a greeting", promise)).data);
    return new Client(socket, worker);
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

Deno.test("deno serve --parallel: sockets on all workers of two processes share rooms, each message once", async () => {
  await using one = new ParallelServer([]);
  await one.ready();
  await using two = new ParallelServer([one]);
  await two.ready();
  await Promise.all([one.says(/is connected/), two.says(/is connected/)]);
  // One process is one node of the mesh, whatever its workers: nobody connects twice.
  for (const { said } of [one, two]) {
    assertEquals(said.filter((line) => line.includes("is the gateway")).length, 1);
    assertEquals(said.filter((line) => line.includes("is connected")).length, 1);
  }

  const clients = [...await one.connectToEach("lobby"), ...await two.connectToEach("lobby")];
  assertEquals(new Set(clients.map(({ worker }) => worker)).size, 2 * WORKERS);
  for (let i = 0; i < 20; i++) {
    for (const [from, client] of clients.entries()) client.say(`${from} ${i}`);
  }
  for (const [to, client] of clients.entries()) {
    for (const from of clients.keys()) {
      if (from === to) continue;
      await client.hears(`${from} 19`);
      // Behind the last that its sender has said nothing of it is to come: no echo, no duplicate.
      const heard = client.heard.filter((message) => message.startsWith(`${from} `));
      assertEquals(heard, Array.from({ length: 20 }, (_, i) => `${from} ${i}`));
    }
    assert(!client.heard.some((message) => message.startsWith(`${to} `)));
  }
  await Promise.all(clients.map((client) => client.close()));
  for (const server of [one, two]) assertEquals((await server.stop()).code, 0);
});
