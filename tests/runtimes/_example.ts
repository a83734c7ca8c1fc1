/** Examples as servers on Node.js and Bun, with packages that npm has installed. */

import { assert } from "@std/assert";
import { join } from "node:path/posix";
import { freePort } from "../cluster/_process.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { findRuntime, install, type RuntimeName } from "./_find.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const LIBRARY = [
  "mod.ts",
  "backplane",
  "codec",
  "mesh",
  "presence",
  "rooms",
  "telemetry",
  "websocket",
] as const;

/** A copy of the library and of some examples, in a folder below which the packages are found. */
export async function copyTree(
  label: string,
  packages: Readonly<Record<string, string>>,
  examples: readonly string[],
): Promise<string> {
  const tree = await Deno.makeTempDir({ dir: await install(label, packages) });
  await Deno.mkdir(join(tree, "examples"));
  for (const part of [...LIBRARY, ...examples]) await copy(join(ROOT, part), join(tree, part));
  await Deno.writeTextFile(join(tree, "package.json"), `{ "type": "module" }`);
  return tree;
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}

/** An example's server, which listens on ports of its own. */
export class ExampleServer implements AsyncDisposable {
  readonly port: number = freePort();
  /** Where other nodes dial its node. */
  readonly address: string = `127.0.0.1:${freePort()}`;
  readonly #child: Deno.ChildProcess;
  #ended = false;

  private constructor(program: string, file: string, name: string, seeds: readonly string[]) {
    this.#child = new Deno.Command(program, {
      args: [file],
      env: {
        NODE_NAME: `${name}@${this.address}`,
        ROOMCAST_COOKIE: COOKIE,
        PORT: String(this.port),
        SEEDS: seeds.join(),
        NODE_NO_WARNINGS: "1",
      },
      stdout: "null",
    }).spawn();
    this.#child.status.then(() => this.#ended = true);
  }

  /** Starts a server. `seeds` are addresses of others. */
  static async start(
    runtime: RuntimeName,
    file: string,
    seeds: readonly string[] = [],
  ): Promise<ExampleServer> {
    return new ExampleServer(await findRuntime(runtime), file, runtime, seeds);
  }

  /** A WebSocket to it, once it listens. */
  async connect(path: string): Promise<WebSocket> {
    for (;;) {
      assert(!this.#ended, "the server has ended");
      try {
        return await opened(`ws://127.0.0.1:${this.port}${path}`);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Asks it to end, as a supervisor does. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const { success, code, signal } = await this.#child.status;
    assert(success, `the server has ended with ${signal ?? code}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

function opened(url: string): Promise<WebSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const socket = new WebSocket(url);
  socket.onopen = () => resolve(socket);
  socket.onerror = () => reject(new Error(`no WebSocket at ${url}`));
  return promise;
}
