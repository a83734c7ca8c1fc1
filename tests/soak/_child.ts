import { lines } from "../../examples/chat/node_process.ts";
import type { Command } from "./_protocol.ts";

/** A process that says and is told a JSON value a line. */
export class Child<Line> {
  readonly pid: number;
  /** The process is over, and all that it has said has been heard. */
  readonly ended: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  #isOver = false;

  /** Starts a script of this folder. */
  constructor(script: string, args: readonly (string | number)[], onLine: (line: Line) => void) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-prompt", "--allow-net=127.0.0.1", "--v8-flags=--expose-gc"],
        // Of `ws`.
        "--allow-env=WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE,NODE_DEBUG",
        new URL(script, import.meta.url).href,
        ...args.map(String),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
      // Ctrl-C in a terminal goes to all of its processes; the parent decides which of them end, and when.
      detached: true,
    }).spawn();
    this.pid = this.#child.pid;
    this.#stdin = this.#child.stdin.getWriter();
    this.ended = this.#run(onLine);
  }

  /** Tells it something; in vain if it has ended. */
  async send(command: Command): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`)).catch(
      () => {},
    );
  }

  /** Sends a signal, if it still runs. */
  signal(signal: Deno.Signal): void {
    if (this.#isOver) return;
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended just now.
    }
  }

  /** Says that nothing more will come. Then it should end by itself. */
  async closeStdin(): Promise<void> {
    await this.#stdin.close().catch(() => {});
  }

  async #run(onLine: (line: Line) => void): Promise<Deno.CommandStatus> {
    for await (const line of lines(this.#child.stdout)) onLine(JSON.parse(line));
    const status = await this.#child.status;
    this.#isOver = true;
    await this.#stdin.abort().catch(() => {});
    return status;
  }
}
