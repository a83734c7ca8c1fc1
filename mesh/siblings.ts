/**
 * How the nodes of one process find each other: on a channel, each announces its name and where its
 * siblings can dial it.
 *
 * ```text
 * { kind: "hello", name, address }   a node has started, and asks for the names of the others
 * { kind: "here", name, address }    a node is there: said after a hello, and whenever it asks for names
 * { kind: "bye", name }              a node has shut down
 * ```
 *
 * A worker that has died sends nothing, and its name is forgotten after a while. Anything else on
 * the channel is ignored. Names only say where to dial, and the handshake decides who is a node.
 */

import type { Clock } from "../backplane/clock.ts";
import type { Address } from "./transport.ts";

/**
 * How long a new node waits for the names of the others before it returns them for the first time.
 */
const ANSWER_MS = 100;

/** One answer serves all nodes that have said hello in this time. */
const GATHER_MS = 10;

/**
 * How long a silent node is remembered. A mesh asks every 5 s, or every 35 s if seeds do not
 * answer.
 */
const FORGET_MS = 60_000;

/** How many names are remembered. */
const MAX_SIBLINGS = 1_024;

/** A channel between the workers of a process. {@linkcode BroadcastChannel} is one. */
export interface WorkerChannel {
  /** Receives what others post. */
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  /** Posts to all others. */
  postMessage(message: unknown): void;
  /** Closes this end. */
  close(): void;
}

/** What is known of a sibling. */
interface Sibling {
  readonly heardAt: number;
  readonly address: Address | undefined;
}

/** The siblings of one node; see the head of the file. */
export class Siblings {
  readonly #name: string;
  readonly #address: Address | undefined;
  readonly #channel: WorkerChannel;
  readonly #clock: Clock;
  readonly #known = new Map<string, Sibling>();
  readonly #firstAnswers = Promise.withResolvers<void>();
  readonly #firstTimer: unknown;
  #answerTimer: unknown;
  #hasGreeted = false;
  #changed = false;

  /** Listens, and posts nothing yet. `address` is where siblings can dial this node. */
  constructor(name: string, address: Address | undefined, channel: WorkerChannel, clock: Clock) {
    this.#name = name;
    this.#address = address;
    this.#channel = channel;
    this.#clock = clock;
    this.#firstTimer = clock.setTimeout(this.#firstAnswers.resolve, ANSWER_MS);
    channel.onmessage = ({ data }) => this.#receive(data);
  }

  /** True if names have come or gone since this was last asked. */
  takeNews(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  /**
   * Announces this node, and returns the names of the others. The first time, it waits for their
   * answers.
   */
  async names(): Promise<string[]> {
    this.#post(this.#hasGreeted ? "here" : "hello");
    this.#hasGreeted = true;
    await this.#firstAnswers.promise;
    const now = this.#clock.now();
    for (const [name, { heardAt }] of this.#known) {
      if (now - heardAt > FORGET_MS) this.#forget(name);
    }
    return [...this.#known.keys()];
  }

  /** Where this process can dial a sibling, if the sibling has said so. */
  addressOf(name: string): Address | undefined {
    return this.#known.get(name)?.address;
  }

  /** Says bye and closes the channel. */
  close(): void {
    this.#clock.clearTimeout(this.#firstTimer);
    this.#clock.clearTimeout(this.#answerTimer);
    this.#firstAnswers.resolve();
    this.#post("bye");
    this.#channel.onmessage = null;
    this.#channel.close();
  }

  #receive(data: unknown): void {
    if (typeof data !== "object" || data === null || !("kind" in data) || !("name" in data)) return;
    const { kind, name } = data;
    if (typeof name !== "string" || name === this.#name) return;
    if (kind === "bye") return this.#forget(name);
    if (kind !== "hello" && kind !== "here") return;
    this.#remember(name, "address" in data ? data.address : undefined);
    if (kind === "hello") this.#answerSoon();
  }

  #answerSoon(): void {
    this.#answerTimer ??= this.#clock.setTimeout(() => {
      this.#answerTimer = undefined;
      this.#post("here");
    }, GATHER_MS);
  }

  #remember(name: string, address: unknown): void {
    if (!this.#known.has(name)) {
      if (this.#known.size >= MAX_SIBLINGS) return;
      this.#changed = true;
    }
    this.#known.set(name, {
      heardAt: this.#clock.now(),
      address: isAddress(address) ? address : undefined,
    });
  }

  #forget(name: string): void {
    if (this.#known.delete(name)) this.#changed = true;
  }

  #post(kind: "hello" | "here" | "bye"): void {
    this.#channel.postMessage({ kind, name: this.#name, address: this.#address });
  }
}

function isAddress(value: unknown): value is Address {
  return typeof value === "object" && value !== null &&
    "hostname" in value && typeof value.hostname === "string" &&
    "port" in value && typeof value.port === "number";
}
