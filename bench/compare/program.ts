/** A process of the comparison, that is told and answers a JSON value a line. */

import { lines, toLine } from "./load/lines.ts";

/** What a process is started as. */
export interface ProgramOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Called for each of its lines. */
  readonly onLine: (value: Record<string, unknown>) => void;
}

/** A running process. */
export class Program {
  readonly pid: number;
  /** Resolves when it is over and its output read. */
  readonly ended: Promise<void>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  #running = true;

  constructor({ command, args, onLine }: ProgramOptions) {
    this.#child = new Deno.Command(command, {
      args: [...args],
      env: { NODE_ENV: "production", NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.pid = this.#child.pid;
    this.#stdin = this.#child.stdin.getWriter();
    this.ended = this.#run(onLine);
  }

  get running(): boolean {
    return this.#running;
  }

  /** Says a value to it. */
  tell(value: unknown): void {
    this.#stdin.write(toLine(value)).catch(() => {});
  }

  signal(name: Deno.Signal): void {
    try {
      if (this.#running) this.#child.kill(name);
    } catch {
      // It has ended just now.
    }
  }

  /** Ends it, without waiting for it to say goodbye. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  /** Ends it by the end of its input, and if that is not enough kills it. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.signal("SIGKILL"), STOP_GRACE_MS);
    await this.#stdin.close().catch(() => {});
    await this.ended;
    clearTimeout(timer);
  }

  async #run(onLine: (value: Record<string, unknown>) => void): Promise<void> {
    for await (const line of lines(this.#child.stdout)) {
      // What a library prints by itself is none of ours.
      if (line.startsWith("{")) onLine(JSON.parse(line));
      else console.error(line);
    }
    await this.#child.status;
    this.#running = false;
    await this.#stdin.abort().catch(() => {});
  }
}

const STOP_GRACE_MS = 3_000;
