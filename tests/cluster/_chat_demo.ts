import { lines } from "../../examples/chat/node_process.ts";
import { ChatClient } from "./_chat_client.ts";
import { within } from "./_chat_cluster.ts";

/** `deno task demo`, as started in a terminal. */
export class ChatDemo implements AsyncDisposable {
  readonly urls: string[] = [];
  readonly #pids: number[] = [];
  readonly #clients: ChatClient[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #output: AsyncGenerator<string>;
  readonly #errors: Promise<string>;

  private constructor(backplane?: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--allow-net=127.0.0.1",
        "--allow-run",
        ...backplane === undefined ? [] : ["--allow-env=PATH", "--allow-read"],
        new URL("../../examples/chat/demo.ts", import.meta.url).href,
        ...backplane === undefined ? [] : ["--backplane", backplane],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#output = lines(this.#child.stdout);
    this.#errors = new Response(this.#child.stderr).text();
  }

  /** Resolves when the demo says that it is up, and every node of it is connected to. */
  static async start(backplane?: string): Promise<ChatDemo> {
    const demo = new ChatDemo(backplane);
    try {
      for (let number = 1; number <= 3; number++) {
        const line = new RegExp(`^  chat-${number}  (http\\S+)  \\(process (\\d+)\\)$`);
        const [, url, pid] = await demo.prints(line);
        demo.urls.push(url);
        demo.#pids.push(Number(pid));
        demo.#clients.push(await ChatClient.connect(url));
      }
    } catch (error) {
      await demo[Symbol.asyncDispose]();
      throw error;
    }
    return demo;
  }

  /** Waits for a line of its output. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    return await within(`the demo printing ${pattern}`, this.#prints(pattern));
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Sends a signal to one of its nodes. */
  signalNode(index: number, signal: Deno.Signal): void {
    Deno.kill(this.#pids[index], signal);
  }

  async ended(): Promise<Deno.CommandStatus> {
    return await within("the demo ending", this.#child.status);
  }

  /** Resolves when every node is gone: its connections closed, and nobody at its address. */
  async nodesEnd(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.closed()));
    for (const url of this.urls) await within(`nobody at ${url}`, nobodyAt(new URL(url)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client[Symbol.asyncDispose]()));
    try {
      this.#child.kill("SIGINT");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    for await (const _line of this.#output);
    await this.#errors;
  }

  async #prints(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const { value, done } = await this.#output.next();
      if (done) throw new Error(`the demo has ended: ${await this.#errors}`);
      const match = pattern.exec(value);
      if (match) return match;
    }
  }
}

async function nobodyAt({ hostname, port }: URL): Promise<void> {
  for (;;) {
    try {
      (await Deno.connect({ hostname, port: Number(port) })).close();
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return;
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
  }
}
