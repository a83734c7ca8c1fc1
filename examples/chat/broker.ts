/** Runs NATS or Redis on this machine, for the demo, tests and benches. */

import { freePort } from "./cluster_plan.ts";
import { lines } from "./node_process.ts";

/** A broker that carries messages between nodes. */
export type BrokerName = "nats" | "redis";

interface BrokerKind {
  /** Names that the program may have. */
  readonly programs: readonly string[];
  readonly debianPackage: string;
  readonly ready: RegExp;
  args(port: number): string[];
}

const KINDS: Record<BrokerName, BrokerKind> = {
  nats: {
    programs: ["nats-server"],
    debianPackage: "nats-server",
    ready: /Server is ready/,
    args: (port) => ["--addr", "127.0.0.1", "--port", String(port)],
  },
  redis: {
    programs: ["redis-server", "valkey-server"],
    debianPackage: "redis-server",
    ready: /Ready to accept connections/,
    // Redis must not write to disk.
    args: (port) => ["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--dir", "/tmp"],
  },
};

/** Debian installs `nats-server` in a folder that is only on the superuser's PATH. */
const MORE_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

/** How long a broker may take to start. */
const START_LIMIT_MS = 10_000;

/** What to do if a broker is not installed. */
export function brokerHint(name: BrokerName): string {
  const { programs, debianPackage } = KINDS[name];
  return `Install ${programs.join(" or ")} so that it is on the PATH ` +
    `(on Debian: apt-get install ${debianPackage}).`;
}

/** Where a broker's program is, if it is installed. */
export function findBroker(name: BrokerName): string | undefined {
  const folders = [...Deno.env.get("PATH")?.split(":") ?? [], ...MORE_FOLDERS];
  const paths = KINDS[name].programs.flatMap((program) => folders.map((f) => `${f}/${program}`));
  return paths.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/**
 * A shell script that starts the broker and ends with it. It also stops the broker when its own input
 * ends. That happens whenever this process ends, even if it is killed.
 */
const GUARD = 'exec 3<&0; "$@" & child=$!; trap "kill $child" TERM INT; ' +
  "{ cat <&3; kill $child; } > /dev/null 2>&1 & watch=$!; " +
  "wait $child; wait $child; kill $watch 2> /dev/null";

/** A broker on a loopback port. It keeps the port when it is stopped and started again. */
export class Broker implements AsyncDisposable {
  readonly name: BrokerName;
  readonly port: number;
  readonly #args: readonly string[];
  #running: { readonly child: Deno.ChildProcess; readonly output: Promise<void> } | undefined;

  private constructor(name: BrokerName, args: readonly string[]) {
    this.name = name;
    this.port = freePort();
    this.#args = args;
  }

  /**
   * Starts a broker. Resolves when it accepts connections.
   *
   * @throws {Error} if it is not installed, or if it ends instead.
   */
  static async start(name: BrokerName, args: readonly string[] = []): Promise<Broker> {
    const broker = new Broker(name, args);
    await broker.start();
    return broker;
  }

  /** The name of its program. */
  get program(): string {
    return KINDS[this.name].programs[0];
  }

  /** The process id of the shell that guards it. The broker is a child of the shell. */
  get pid(): number {
    const { pid } = this.#running?.child ?? {};
    if (pid === undefined) throw new Error(`${this.program} is not running`);
    return pid;
  }

  /** Starts it again. */
  async start(): Promise<void> {
    const { program } = this;
    const { args, ready } = KINDS[this.name];
    const path = findBroker(this.name);
    if (path === undefined) throw new Error(`There is no ${program}. ${brokerHint(this.name)}`);
    const child = new Deno.Command("sh", {
      args: ["-c", GUARD, "sh", path, ...args(this.port), ...this.#args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const started = Promise.withResolvers<void>();
    const said: string[] = [];
    const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const line of lines(stream)) {
        if (said.length < 20) said.push(line);
        if (ready.test(line)) started.resolve();
      }
    };
    const output = Promise.all([read(child.stdout), read(child.stderr)]).then(() =>
      started.reject(new Error(`${program} has ended:\n${said.join("\n")}`))
    );
    const fail = () => started.reject(new Error(`${program} does not start:\n${said.join("\n")}`));
    const timer = setTimeout(fail, START_LIMIT_MS);
    this.#running = { child, output };
    try {
      await started.promise;
    } catch (error) {
      await this.stop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops it. Calling this again does nothing. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    await running.child.stdin.close().catch(() => {});
    await running.child.status;
    await running.output;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
