import type { NodeOptions, Order } from "./_node.ts";
import { TextLineStream } from "./_lines.ts";

/** What a node says. */
export interface Said {
  readonly type: string;
  /** When it said so, in milliseconds since 1970. */
  readonly at: number;
  readonly room?: string;
  readonly id?: string;
  readonly nodeId?: string;
  readonly token?: number;
  readonly list?: readonly [id: string, sockets: number][];
  readonly local?: number;
  readonly remote?: number;
  /** If garbage has been collected before. */
  readonly heapBytes?: number;
  readonly rssBytes?: number;
  /** Processor time so far. */
  readonly cpuMs?: number;
  /** What it has published so far. */
  readonly published?: number;
  readonly publishedBytes?: number;
}

/** How long anything may take before a test gives up. */
const LIMIT_MS = 30_000;

/** A node in a process of its own. */
export class PresenceProcess implements AsyncDisposable {
  readonly said: Said[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: Promise<void>;
  readonly #waiting = new Set<() => void>();
  #hasEnded = false;
  #token = 0;

  constructor(options: NodeOptions) {
    const script = new URL("_node.ts", import.meta.url).pathname;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-check", "--v8-flags=--expose-gc", "-A"],
        ...[script, JSON.stringify(options)],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#read();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Tells it to do something. */
  async order(order: Order): Promise<void> {
    await this.#input.write(new TextEncoder().encode(JSON.stringify(order) + "\n"));
  }

  /** Waits until it has said something, from the line `from` on, and gives it. */
  async says(matches: (said: Said) => boolean, from = 0): Promise<Said> {
    const { promise: limit, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Error("it has not said what was waited for")),
      LIMIT_MS,
    );
    try {
      for (let i = from;; i++) {
        while (i >= this.said.length) {
          if (this.#hasEnded) throw new Error("it has ended");
          const { promise, resolve } = Promise.withResolvers<void>();
          this.#waiting.add(resolve);
          await Promise.race([promise, limit]);
        }
        if (matches(this.said[i])) return this.said[i];
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Who is in a room, as it sees it. `collect`: collects garbage before it says what it holds. */
  async report(room: string, collect = false): Promise<Said> {
    const token = this.#token++;
    await this.order({ report: token, room, collect });
    return await this.says((said) => said.type === "report" && said.token === token);
  }

  /** The ids in a room, sorted. */
  async ids(room: string): Promise<string> {
    const { list = [] } = await this.report(room);
    return list.map(([id]) => id).sort().join();
  }

  /** Stops the process for a while, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  /** Ends it without any warning. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return;
    this.#child.kill("SIGKILL");
    await this.#end();
  }

  /** Lets it end in order. */
  async stop(): Promise<void> {
    await this.order({ end: true });
    await this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #end(): Promise<void> {
    await this.#child.status;
    await this.#output;
    await this.#input.abort().catch(() => {});
  }

  async #read(): Promise<void> {
    const lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TextLineStream(),
    );
    for await (const line of lines) {
      this.said.push(JSON.parse(line));
      this.#tell();
    }
    this.#hasEnded = true;
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
