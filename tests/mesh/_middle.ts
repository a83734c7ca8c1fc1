import type { Address, Connection, Listener, Transport } from "../../mod.ts";
import { tcpTransport } from "../../mesh/mod.ts";
import { encodeFrame, FrameDecoder } from "../../codec/mod.ts";

/** Which way a frame goes: from who has dialled, or to it. */
export type Way = "in" | "out";

/** What a person in the middle does. */
export interface MiddleOptions {
  /** What both sides believe to speak with each other. Default: TCP, so that TLS passes through. */
  transport?: Transport;
  /** Makes another frame of each; left out, bytes pass as they are. */
  alter?: (payload: Uint8Array, way: Way) => Uint8Array;
}

/** A person in the middle: takes connections for a node, passes on what is said, and keeps it. */
export class Middle implements AsyncDisposable {
  /** Everything that was said, both ways, as it came out of the transport. */
  readonly said: Uint8Array[] = [];
  /** How many connections it sits on. */
  connections = 0;
  readonly #listener: Listener;
  readonly #target: Address;
  readonly #options: MiddleOptions & { transport: Transport };
  readonly #open = new Set<Connection>();
  readonly #running: Promise<void>[] = [];

  private constructor(
    listener: Listener,
    target: Address,
    options: MiddleOptions & { transport: Transport },
  ) {
    this.#listener = listener;
    this.#target = target;
    this.#options = options;
    this.#running.push(this.#acceptAll());
  }

  static async start(target: Address, options: MiddleOptions = {}): Promise<Middle> {
    const { transport = tcpTransport } = options;
    const listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
    return new Middle(listener, target, { ...options, transport });
  }

  /** Where to dial instead of the node. */
  get address(): string {
    return `127.0.0.1:${this.#listener.address.port}`;
  }

  /** True if `text` can be read in what was said. */
  hasRead(text: string): boolean {
    // As one byte a character, so that it is found across whatever stands around it.
    const size = this.said.reduce((sum, bytes) => sum + bytes.length, 0);
    const all = new Uint8Array(size);
    let at = 0;
    for (const bytes of this.said) {
      all.set(bytes, at);
      at += bytes.length;
    }
    return new TextDecoder("latin1").decode(all).includes(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    await Promise.all(this.#running);
  }

  async #acceptAll(): Promise<void> {
    try {
      for (;;) this.#running.push(this.#sitBetween(await this.#listener.accept()));
    } catch {
      // Closed.
    }
  }

  async #sitBetween(caller: Connection): Promise<void> {
    this.#open.add(caller);
    this.connections++;
    try {
      const { signal } = new AbortController();
      const node = await this.#options.transport.connect(this.#target, { signal });
      this.#open.add(node);
      await Promise.all([this.#pass(caller, node, "in"), this.#pass(node, caller, "out")]);
    } catch {
      // Either side has had enough.
    }
    caller.close();
  }

  async #pass(from: Connection, to: Connection, way: Way): Promise<void> {
    const { alter } = this.#options;
    const decoder = new FrameDecoder();
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let size = await from.read(buffer); size !== null; size = await from.read(buffer)) {
        const bytes = buffer.slice(0, size);
        this.said.push(bytes);
        const parts = alter ? Array.from(decoder.push(bytes), (p) => alter(p, way)) : [bytes];
        for (const part of parts) await writeAll(to, alter ? encodeFrame(part) : part);
      }
    } finally {
      from.close();
      to.close();
    }
  }
}

async function writeAll(to: Connection, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
