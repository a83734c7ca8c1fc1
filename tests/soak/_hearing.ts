/**
 * What a client hears on one connection. Between connections nothing is promised: a client that comes
 * back hears what is said from then on.
 */

import type { Stamp } from "./_stamp.ts";

/** What a node and its client must agree on when a connection ends. */
export interface Tally {
  /** Messages that the client has heard. */
  readonly count: number;
  /** The sum of their numbers, modulo 2³². */
  readonly sum: number;
  /** Messages that the client has said. */
  readonly said: number;
}

/** Adds the number of a message to a sum. */
export function addNumber(sum: number, number: number): number {
  return (sum + number) >>> 0;
}

/** As the reason of a close, which has room for 123 bytes. */
export function writeTally({ count, sum, said }: Tally): string {
  return `${count} ${sum} ${said}`;
}

/** The reverse of {@linkcode writeTally}; undefined for any other reason. */
export function readTally(reason: string): Tally | undefined {
  if (!/^\d+ \d+ \d+$/.test(reason)) return undefined;
  const [count, sum, said] = reason.split(" ").map(Number);
  return { count, sum, said };
}

/** What was heard of a node last. */
interface Last {
  readonly life: string;
  number: number;
  /** By audience: its number there. */
  readonly audiences: Map<string, number>;
}

/** A part of a text keeps the whole text in memory: each word is kept only once. */
const words = new Map<string, string>();

function kept(word: string): string {
  const known = words.get(word);
  if (known === undefined) words.set(word, word);
  return known ?? word;
}

/** See the file's head. */
export class Hearing {
  readonly #client: number;
  /** The node that the client is connected to. */
  readonly #node: number;
  readonly #announcedAt: number;
  /** By node: what was heard of it last. */
  readonly #last: (Last | undefined)[] = [];
  #count = 0;
  #sum = 0;
  #ownSkipped = 0;
  said = 0;

  /**
   * Begins with nothing. Until `announcedAt` (see {@linkcode hear}), other nodes may not have been told
   * yet that the client's node wants its rooms: it may or may not hear them.
   */
  constructor(client: number, node: number, announcedAt = 0) {
    this.#client = client;
    this.#node = node;
    this.#announcedAt = announcedAt;
  }

  /**
   * Counts a message that comes at a time. Gives how many of the same sender to the same audience were left out before it,
   * except those that the client may have said itself.
   *
   * @throws {Error} if it must not have come.
   */
  hear(stamp: Stamp, at = 0): number {
    const { node, life, number, audience, audienceNumber, client } = stamp;
    const what = `message ${number} of node ${node} (${life})`;
    if (client === this.#client) throw new Error(`client ${client} hears its own ${what}`);
    this.#count++;
    this.#sum = addNumber(this.#sum, number);
    let last = this.#last[node];
    if (last?.life !== life) {
      this.#last[node] = last = { life: kept(life), number: -1, audiences: new Map() };
    }
    if (number <= last.number) {
      throw new Error(
        `client ${this.#client} hears ${what} after ${last.number}: twice, or out of order`,
      );
    }
    last.number = number;
    if (node !== this.#node && at < this.#announcedAt) return 0;
    const before = last.audiences.get(audience);
    last.audiences.set(kept(audience), audienceNumber);
    if (before === undefined) return 0;
    const skipped = audienceNumber - before - 1;
    if (node !== this.#node) return skipped;
    // From its own node it hears everything but what it has said itself.
    this.#ownSkipped += skipped;
    if (this.#ownSkipped <= this.said) return 0;
    throw new Error(
      `client ${this.#client} has not heard ${this.#ownSkipped} messages of its own node, and has ` +
        `said ${this.said}`,
    );
  }

  /**
   * Compares with what the node says at the end. With `all` the node must have heard everything that
   * the client has said; otherwise the last words may have crossed the end.
   *
   * @throws {Error} if the two do not agree.
   */
  compare(tally: Tally, all: boolean): void {
    const { count, sum, said } = tally;
    const saidAgrees = all ? said === this.said : said <= this.said;
    if (count === this.#count && sum === this.#sum && saidAgrees) return;
    throw new Error(
      `client ${this.#client} has heard ${this.#count} messages (sum ${this.#sum}) and said ` +
        `${this.said}; its node ${this.#node} has sent it ${count} (sum ${sum}) and heard ${said}`,
    );
  }
}
