/** Runs a node of the chat as a process, for the demo, the tests and the screenshot. */

import type { ClusterPlan, NodePlan } from "./cluster_plan.ts";

const FOLDER = new URL(".", import.meta.url);

/** How long a node may take to stop before it is killed. */
const STOP_GRACE_MS = 4_000;

/** A running node. */
export class NodeProcess implements AsyncDisposable {
  readonly plan: NodePlan;
  /** Resolves when the process has ended and its output has been read. */
  readonly ended: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter;
  readonly #onLine: (line: string) => void;
  readonly #peers = new Set<string>();
  #listening = false;
  #running = true;
  #changed = Promise.withResolvers<void>();

  /** Starts a node of a cluster. `onLine` gets what it prints. */
  constructor(
    plan: NodePlan,
    { nodes, cookie, backplane }: ClusterPlan,
    onLine: (line: string) => void = () => {},
  ) {
    this.plan = plan;
    this.#onLine = onLine;
    const others = nodes.filter((node) => node.name !== plan.name);
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--allow-net=127.0.0.1",
        // `ioredis` reads the whole environment.
        backplane?.startsWith("redis:") ? "--allow-env" : "--allow-env=ROOMCAST_COOKIE",
        `--allow-read=${toPath(FOLDER)}`,
        new URL("server.ts", FOLDER).href,
        `--name=${plan.name}`,
        `--http=${plan.httpPort}`,
        ...others.map(({ name }) => `--seed=${name}`),
        ...backplane === undefined ? [] : [`--backplane=${backplane}`],
        ...nodes.map(({ url }) => `--page=${url}`),
        // Even if this process is killed, the system closes the node's stdin, and the node stops.
        "--stop-with-stdin",
      ],
      env: { ROOMCAST_COOKIE: cookie },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdin = this.#child.stdin.getWriter();
    this.ended = this.#run();
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /**
   * Resolves when the node serves its page and is connected to `count` others. A broker counts as one.
   *
   * @throws {Error} if the node ends first.
   */
  async ready(count: number): Promise<void> {
    while (!this.#listening || this.#peers.size !== count) {
      if (!this.#running) throw new Error(`${this.plan.name} has ended`);
      await this.#changed.promise;
    }
  }

  /** Ends the node without a chance to say goodbye. */
  async kill(): Promise<Deno.CommandStatus> {
    this.#signal("SIGKILL");
    return await this.ended;
  }

  /** Asks the node to stop, and kills it if it does not. */
  async stop(): Promise<Deno.CommandStatus> {
    this.#signal("SIGTERM");
    const timer = setTimeout(() => this.#signal("SIGKILL"), STOP_GRACE_MS);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #signal(signal: Deno.Signal): void {
    try {
      if (this.#running) this.#child.kill(signal);
    } catch {
      // It has ended just now.
    }
  }

  async #run(): Promise<Deno.CommandStatus> {
    const output = [this.#read(this.#child.stdout), this.#read(this.#child.stderr)];
    const status = await this.#child.status;
    this.#running = false;
    await Promise.all([...output, this.#stdin.abort().catch(() => {})]);
    this.#change();
    return status;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const line of lines(stream)) {
      const [, name, state] = /^roomcast: (\S+@\S+|the broker) is (\w+)/.exec(line) ?? [];
      if (state === "linked" || state === "within") this.#peers.add(name);
      if (state === "gone" || state === "away") this.#peers.delete(name);
      if (line.startsWith("listening ")) this.#listening = true;
      this.#onLine(line);
      this.#change();
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function toPath(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.slice(1) : path;
}

/** The lines of a stream of text, including a last line without a line break. */
export async function* lines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, void, void> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split(/\r?\n/);
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}
