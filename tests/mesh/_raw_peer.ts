/**
 * The other end of a link, played by hand: frames, handshake messages and proofs as a test wants
 * them. It uses the codec, which has tests of its own, and nothing of `mesh/`.
 */

import type { Address } from "../../mod.ts";
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
  FrameDecoder,
} from "../../codec/mod.ts";
import { COOKIE } from "./_cluster.ts";

export interface RawIdentity {
  name: string;
  incarnation: Uint8Array;
  features: number;
}

/** An identity with an incarnation that no other has. */
export function rawIdentity(name: string): RawIdentity {
  return { name, incarnation: crypto.getRandomValues(new Uint8Array(8)), features: 1 };
}

export async function hmac(cookie: string, bytes: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const secret = new TextEncoder().encode(cookie);
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes as BufferSource));
}

async function digest(name: Uint8Array, challenge: Uint8Array): Promise<Uint8Array> {
  const bytes = encodeTranscript(name, challenge, new Uint8Array(32));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
}

export class RawPeer implements Disposable {
  readonly connection: Deno.TcpConn;
  readonly #decoder = new FrameDecoder();
  readonly #frames: Uint8Array[] = [];
  #open = true;

  constructor(connection: Deno.TcpConn) {
    this.connection = connection;
  }

  static async dial({ hostname, port }: Address): Promise<RawPeer> {
    return new RawPeer(await Deno.connect({ hostname, port }));
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.connection.write(bytes.subarray(at));
  }

  async send(payload: Uint8Array): Promise<void> {
    await this.write(encodeFrame(payload));
  }

  /** The next payload; null when the node has closed the connection. */
  async receive(): Promise<Uint8Array | null> {
    const buffer = new Uint8Array(64 * 1024);
    while (this.#frames.length === 0) {
      const size = await this.connection.read(buffer).catch(() => null);
      if (size === null) return null;
      this.#frames.push(...this.#decoder.push(buffer.slice(0, size)));
    }
    return this.#frames.shift() ?? null;
  }

  /** The next payload. Throws if the node has closed the connection instead. */
  async expect(): Promise<Uint8Array> {
    const payload = await this.receive();
    if (payload === null) throw new Error("the node has closed the connection");
    return payload;
  }

  /** Plays the initiator. Throws if the node closes instead of answering. */
  async initiate(
    self: RawIdentity,
    cookie = COOKIE,
  ): Promise<{ name: Uint8Array; reply: Uint8Array }> {
    const name = encodeName({ name: self.name, creation: 1, extension: self });
    await this.send(name);
    const challengeMessage = await this.expect();
    decodeChallenge(challengeMessage);
    const transcript = await digest(name, challengeMessage);
    const challenge = crypto.getRandomValues(new Uint8Array(32));
    const proof = await hmac(cookie, encodeReplyProof(transcript, challenge));
    const reply = encodeReply({ proof, challenge });
    await this.send(reply);
    decodeAck(await this.expect());
    return { name, reply };
  }

  /**
   * Plays the acceptor, or refuses the proof, and gives what it has said. Throws if the node closes
   * instead of answering.
   */
  async accept(
    self: RawIdentity,
    cookie = COOKIE,
    { refuse = false } = {},
  ): Promise<{ challenge: Uint8Array; ack: Uint8Array }> {
    const name = await this.expect();
    decodeName(name);
    const challenge = encodeChallenge({
      name: self.name,
      creation: 1,
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      extension: self,
    });
    await this.send(challenge);
    const reply = decodeReply(await this.expect());
    const transcript = await digest(name, challenge);
    const ack = encodeAck({ proof: await hmac(cookie, encodeAckProof(transcript, reply)) });
    if (refuse) this.close();
    else await this.send(ack);
    return { challenge, ack };
  }

  /** Breaks off, without a goodbye. */
  close(): void {
    if (this.#open) this.connection.close();
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
