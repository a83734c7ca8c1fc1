import { lines } from "../../examples/chat/node_process.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { within } from "./_chat_cluster.ts";
import type { ExampleServer } from "./_example_servers.ts";
import { freePort } from "./_process.ts";

interface StartOptions {
  /** Addresses of other nodes. */
  seeds?: readonly string[];
  /** A server that has ended, whose ports and name this one takes. */
  like?: ExampleProcess;
}

/** An example of a server as a process of its own. */
export class ExampleProcess implements AsyncDisposable {
  /** Where it takes WebSockets. */
  readonly port: number;
  /** Name of its node, if it is told one. */
  readonly name: string;
  readonly said: string[] = [];
  ended = false;
  readonly #child: Deno.ChildProcess;
  readonly #done: Promise<unknown>;
  readonly #script: string | undefined;
  #changed = Promise.withResolvers<void>();

  private constructor(
    example: ExampleServer,
    script: string | undefined,
    { seeds = [], like }: StartOptions,
  ) {
    this.port = like?.port ?? freePort();
    this.name = like?.name ?? `chat-1@127.0.0.1:${freePort()}`;
    this.#script = script;
    const target = "file" in example.source ? example.source.file.href : script ?? "";
    const config = decodeURIComponent(new URL("../../deno.json", import.meta.url).pathname);
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...example.runner === "run" ? ["run"] : ["serve", "--host", "127.0.0.1", "--port"],
        ...example.runner === "serve" ? [String(this.port)] : [],
        ...example.runner === "serve beside" ? [String(freePort())] : [],
        ...["--quiet", "--no-prompt", "--no-lock", "--config", config],
        ...["--allow-net", "--allow-env"],
        // The README promises that two flags are enough. What else the others need, they say.
        ...example.label.startsWith("README.md:") ? [] : ["--allow-read", "--allow-sys"],
        target,
        ...example.label.startsWith("examples/chat/")
          ? ["--name", "chat-1@127.0.0.1:0", "--http", String(this.port)]
          : [],
      ],
      env: {
        NODE_NAME: this.name,
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
    const status = this.#child.status.then(() => this.ended = true);
    this.#done = Promise.all([read(this.#child.stdout), read(this.#child.stderr), status]);
  }

  /** Where other nodes dial its node. */
  get address(): string {
    return this.name.split("@")[1];
  }

  /** Resolves when the server takes connections. */
  static async start(
    example: ExampleServer,
    options: StartOptions = {},
  ): Promise<ExampleProcess> {
    let script: string | undefined;
    if ("code" in example.source) {
      script = await Deno.makeTempFile({ prefix: "roomcast_example_", suffix: ".ts" });
      await Deno.writeTextFile(script, example.source.code);
    }
    const process = new ExampleProcess(example, script, options);
    try {
      await within(`${example.label} listening`, process.#listening());
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw new Error(process.said.join("\n"), { cause: error });
    }
    return process;
  }

  /** Resolves when it has printed a line that matches. */
  async says(pattern: RegExp): Promise<void> {
    while (!this.said.some((line) => pattern.test(line))) {
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
  }

  /** Asks it to end, as a supervisor does, and returns how it ended. */
  async stop(): Promise<Deno.CommandStatus> {
    this.#child.kill("SIGTERM");
    const status = await within("the server ending after SIGTERM", this.#child.status);
    await this.#done;
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ended) this.#child.kill("SIGKILL");
    await this.#done;
    if (this.#script !== undefined) await Deno.remove(this.#script);
  }

  async #listening(): Promise<void> {
    for (;;) {
      if (this.ended) throw new Error("it has ended");
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port: this.port })).close();
        return;
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}
