/** A member of the cluster, played by hand on a simulated network: it knows the cookie, and says anything. */

import { createHash, createHmac } from "node:crypto";
import {
  decodeAck,
  decodeChallenge,
  decodeName,
  decodeReply,
  encodeAck,
  encodeAckProof,
  encodeChallenge,
  encodeFrame,
  encodeName,
  encodeReply,
  encodeReplyProof,
  encodeTranscript,
} from "../../codec/mod.ts";
import type { Connection } from "../../mesh/mod.ts";
import { referenceFrames } from "./_reference.ts";

const CREATION = 1;
const CHALLENGE = new Uint8Array(32).fill(3);
const READ_BYTES = 4096;
const MAX_FRAME_BYTES = 16 * 1024 * 1024;

export interface MemberOptions {
  readonly name: string;
  readonly features: number;
  readonly cookie: string;
}

export class Member {
  readonly #connection: Connection;
  readonly #options: MemberOptions;
  #received = new Uint8Array();
  /** Frames that the handshake has taken. */
  #taken = 0;

  constructor(connection: Connection, options: MemberOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Payloads that have come in the session. */
  get heard(): Uint8Array[] {
    return referenceFrames(this.#received, MAX_FRAME_BYTES).payloads.slice(this.#taken);
  }

  /** Plays the side that has dialled. */
  async initiate(): Promise<void> {
    const name = encodeName(this.#identity());
    await this.write(encodeFrame(name));
    const challengeMessage = await this.#next();
    decodeChallenge(challengeMessage);
    const transcript = this.#transcript(name, challengeMessage);
    const proof = this.#prove(encodeReplyProof(transcript, CHALLENGE));
    await this.write(encodeFrame(encodeReply({ proof, challenge: CHALLENGE })));
    decodeAck(await this.#next());
  }

  /** Plays the side that was dialled. */
  async accept(): Promise<void> {
    const name = await this.#next();
    decodeName(name);
    const challengeMessage = encodeChallenge({ ...this.#identity(), challenge: CHALLENGE });
    await this.write(encodeFrame(challengeMessage));
    const reply = decodeReply(await this.#next());
    const transcript = this.#transcript(name, challengeMessage);
    await this.write(
      encodeFrame(encodeAck({ proof: this.#prove(encodeAckProof(transcript, reply)) })),
    );
  }

  /** Writes bytes, for as long as they are taken. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  /** Reads all that comes, until the connection is closed. */
  async listen(): Promise<void> {
    while (await this.#read());
  }

  close(): void {
    this.#connection.close();
  }

  #identity() {
    const { name, features } = this.#options;
    const extension = { incarnation: new Uint8Array(8).fill(5), features };
    return { name, creation: CREATION, extension };
  }

  #transcript(name: Uint8Array, challenge: Uint8Array): Uint8Array {
    const binding = this.#connection.binding ?? new Uint8Array(32);
    const bytes = encodeTranscript(name, challenge, binding);
    return new Uint8Array(createHash("sha256").update(bytes).digest());
  }

  #prove(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(createHmac("sha256", this.#options.cookie).update(bytes).digest());
  }

  async #next(): Promise<Uint8Array> {
    for (;;) {
      const payload = referenceFrames(this.#received, MAX_FRAME_BYTES).payloads[this.#taken];
      if (payload !== undefined) {
        this.#taken++;
        return payload;
      }
      if (!await this.#read()) throw new Error("the node has closed the connection");
    }
  }

  async #read(): Promise<boolean> {
    const buffer = new Uint8Array(READ_BYTES);
    const size = await this.#connection.read(buffer).catch(() => null);
    if (size === null) return false;
    const longer = new Uint8Array(this.#received.length + size);
    longer.set(this.#received);
    longer.set(buffer.subarray(0, size), this.#received.length);
    this.#received = longer;
    return true;
  }
}
