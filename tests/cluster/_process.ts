/**
 * A loopback port that nobody listens at, as of now. It is below those that Linux gives to outgoing
 * connections, one of which could take the port before the server does.
 */
export function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** A process that says on its standard output what happens, a JSON value a line. */
export class NodeProcess {
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly said: Record<string, unknown>[] = [];
  #rest = "";
  #marked = 0;

  /** On Deno, or by `runtime`, the program of another runtime. */
  constructor(script: string, args: string[], runtime?: string) {
    const deno = ["run", "--quiet", "--allow-net=127.0.0.1", "--allow-env"];
    this.#child = new Deno.Command(runtime ?? Deno.execPath(), {
      args: [...runtime === undefined ? deno : [], script, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** From here on, `says` is about what comes now. */
  mark(): void {
    this.#marked = this.said.length;
  }

  /** Resolves when the process has said, since the mark, something that agrees with `expected`. */
  async says(expected: Record<string, unknown>): Promise<void> {
    for (let i = this.#marked;; i++) {
      if (i === this.said.length && !await this.#readLine()) {
        throw new Error(`ended before it said ${JSON.stringify(expected)}`);
      }
      const value = this.said[i];
      if (Object.entries(expected).every(([key, wanted]) => value[key] === wanted)) return;
    }
  }

  /** Ends it without any warning. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.stdin.abort().catch(() => {});
    await this.#end();
  }

  /** Lets it end in order. */
  async stop(): Promise<void> {
    await this.#child.stdin.close();
    await this.#end();
  }

  async #end(): Promise<void> {
    while (await this.#readLine());
    await this.#child.status;
  }

  async #readLine(): Promise<boolean> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        this.said.push(JSON.parse(this.#rest.slice(0, end)));
        this.#rest = this.#rest.slice(end + 1);
        return true;
      }
      const { value, done } = await this.#reader.read();
      if (done) return false;
      this.#rest += value;
    }
  }
}
