import { freePort } from "../../examples/chat/cluster_plan.ts";
import { lines } from "../../examples/chat/node_process.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { within } from "./_chat_cluster.ts";

const SCRIPT = new URL("./_mortal_server.ts", import.meta.url).href;

/** What a worker answers at the port of `deno serve`. */
interface WorkerState {
  /** Name of its node. */
  readonly worker: string;
  /** Names of the nodes that it has links to. */
  readonly peers: readonly string[];
}

/** A machine: one process of `deno serve --parallel`, with several workers at one port. */
export class ParallelServer implements AsyncDisposable {
  /** Where other machines dial it. */
  readonly address = `127.0.0.1:${freePort()}`;
  /** Where clients connect. */
  readonly port = freePort();
  readonly workers: number;
  readonly said: string[] = [];
  readonly #probePort = freePort();
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<void[]>;
  #changed = Promise.withResolvers<void>();

  constructor(seeds: readonly string[], { workers = 3 }: { workers?: number } = {}) {
    this.workers = workers;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["serve", "--no-prompt", "--parallel", "--allow-net", "--allow-env"],
        ...["--host", "127.0.0.1", "--port", String(this.#probePort), SCRIPT],
      ],
      env: {
        DENO_JOBS: String(workers),
        NODE_NAME: `chat@${this.address}`,
        PORT: String(this.port),
        ROOMCAST_COOKIE: COOKIE,
        SEEDS: seeds.join(),
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

  /** Name of the node that listens at {@linkcode address}. */
  get holder(): string {
    return `chat@${this.address}`;
  }

  /** Names of the nodes, the one in the main thread first; its death would end the process. */
  async names(): Promise<string[]> {
    const pattern = /^\[serve-worker-(\d+) *\] (\S+) takes WebSockets/;
    return await this.#until("the names of its workers", () => {
      const started = this.said.flatMap((line) => {
        const match = pattern.exec(line);
        return match ? [{ number: Number(match[1]), name: match[2] }] : [];
      });
      if (started.length < this.workers) return undefined;
      return started.sort((a, b) => a.number - b.number).map(({ name }) => name);
    });
  }

  /** Resolves when each of these workers has links to all of these nodes but itself. */
  async linked(workers: readonly string[], nodes: readonly string[]): Promise<void> {
    const wait = async () => {
      const ready = new Set<string>();
      while (!workers.every((name) => ready.has(name))) {
        const { worker = "", peers = [] } = await this.#probe("/") ?? {};
        const others = nodes.filter((name) => name !== worker);
        if (others.every((name) => peers.includes(name)) && peers.length === others.length) {
          ready.add(worker);
        }
      }
    };
    await within(`links of the workers at ${this.address}`, wait());
  }

  /** Ends a worker as an uncaught error does. */
  async kill(name: string): Promise<void> {
    const wait = async () => {
      while ((await this.#probe(`/die/${encodeURIComponent(name)}`))?.worker !== name);
    };
    await within(`the end of ${name}`, wait());
  }

  /** Ends it as `deno serve` is ended, and returns how that was. */
  async stop(): Promise<Deno.CommandStatus> {
    this.#child.kill("SIGTERM");
    try {
      return await within(`${this.address} ending`, this.#child.status);
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

  /** Asks a worker; undefined if it dies meanwhile. */
  async #probe(path: string): Promise<WorkerState | undefined> {
    // A new connection each time, so that the system may choose another worker.
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    try {
      const response = await fetch(`http://127.0.0.1:${this.#probePort}${path}`, { client });
      return await response.json();
    } catch {
      return undefined;
    }
  }

  async #until<T>(what: string, look: () => T | undefined): Promise<T> {
    const wait = async () => {
      for (;;) {
        const found = look();
        if (found !== undefined) return found;
        await this.#changed.promise;
        this.#changed = Promise.withResolvers();
      }
    };
    return await within(`${what}, at ${this.address}`, wait());
  }
}
