/**
 * The four messages that open a link, and the bytes that its proofs cover (`docs/wire.md`,
 * "Handshake"). This file only lays out bytes. Keys, digests and randomness belong to the mesh.
 */

import { checkRange, checkSize } from "./_check.ts";
import { Reader } from "./_reader.ts";
import { text16Length, Writer } from "./_writer.ts";
import { ACK, CHALLENGE, NAME, REPLY } from "./tags.ts";

/** Bytes of a challenge. */
export const CHALLENGE_BYTES = 32;
/** Bytes of a proof: an HMAC-SHA256. */
export const PROOF_BYTES = 32;
/** Bytes of a channel binding: a SHA-256, or zeros on plain TCP. */
export const BINDING_BYTES = 32;
/** Bytes of an incarnation. */
export const INCARNATION_BYTES = 8;

/** The extension begins with this mark and version. */
const EXTENSION_HEAD = Uint8Array.of(0x52, 0x43, 0x01);
const EXTENSION_BYTES = EXTENSION_HEAD.length + INCARNATION_BYTES + 4;

const TRANSCRIPT_LABEL = new TextEncoder().encode("roomcast/1\0");
const REPLY_LABEL = new TextEncoder().encode("reply\0");
const ACK_LABEL = new TextEncoder().encode("ack\0");

/** What roomcast adds to NAME and CHALLENGE. A node of the Mesh runtime sends none. */
export interface HandshakeExtension {
  /** {@linkcode INCARNATION_BYTES} random bytes, chosen once when the node starts. */
  readonly incarnation: Uint8Array;
  /** `u32` of feature bits: {@linkcode FEATURE_GOODBYE} and its siblings. */
  readonly features: number;
}

/** NAME: who is calling. */
export interface HandshakeName {
  /** The initiator's full name, `local@host:port`. */
  readonly name: string;
  /** `u8`; roomcast sends 1. */
  readonly creation: number;
  /** Left out by a node of the Mesh runtime. */
  readonly extension?: HandshakeExtension;
}

/** CHALLENGE: who answers, and what the caller must prove against. */
export interface HandshakeChallenge extends HandshakeName {
  /** {@linkcode CHALLENGE_BYTES} random bytes. */
  readonly challenge: Uint8Array;
}

/** REPLY: the initiator's proof, and a challenge of its own. */
export interface HandshakeReply {
  /** {@linkcode PROOF_BYTES} bytes. */
  readonly proof: Uint8Array;
  /** {@linkcode CHALLENGE_BYTES} random bytes. */
  readonly challenge: Uint8Array;
}

/** ACK: the acceptor's proof. */
export interface HandshakeAck {
  /** {@linkcode PROOF_BYTES} bytes. */
  readonly proof: Uint8Array;
}

/**
 * Encodes NAME.
 *
 * @throws {FrameError} `frame-too-long` for a name above 65,535 bytes, `ill-formed-text`.
 * @throws {RangeError} for a field of the wrong size or range.
 *
 * @example
 * ```ts
 * import { decodeName, encodeName } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const extension = { incarnation: new Uint8Array(8), features: 1 };
 * const name = { name: "chat-1@10.0.0.5:9000", creation: 1, extension };
 * assertEquals(decodeName(encodeName(name)), name);
 * ```
 */
export function encodeName(message: HandshakeName): Uint8Array {
  return encodeIdentity(NAME, message);
}

/**
 * Decodes NAME.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes` (also for an extension with
 * another mark or version), `invalid-utf8`.
 *
 * @example See {@linkcode encodeName}.
 */
export function decodeName(bytes: Uint8Array): HandshakeName {
  return decodeIdentity(new Reader(bytes, NAME, "NAME")).identity;
}

/**
 * Encodes CHALLENGE.
 *
 * @throws {FrameError} `frame-too-long` for a name above 65,535 bytes, `ill-formed-text`.
 * @throws {RangeError} for a field of the wrong size or range.
 *
 * @example
 * ```ts
 * import { decodeChallenge, encodeChallenge } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const message = { name: "chat-2@10.0.0.6:9000", creation: 1, challenge: new Uint8Array(32) };
 * assertEquals(decodeChallenge(encodeChallenge(message)).name, message.name);
 * ```
 */
export function encodeChallenge(message: HandshakeChallenge): Uint8Array {
  return encodeIdentity(CHALLENGE, message, message.challenge);
}

/**
 * Decodes CHALLENGE.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes` (also for an extension with
 * another mark or version), `invalid-utf8`.
 *
 * @example See {@linkcode encodeChallenge}.
 */
export function decodeChallenge(bytes: Uint8Array): HandshakeChallenge {
  const reader = new Reader(bytes, CHALLENGE, "CHALLENGE");
  const { identity, challenge } = decodeIdentity(reader, CHALLENGE_BYTES);
  return { ...identity, challenge };
}

/**
 * Encodes REPLY.
 *
 * @throws {RangeError} for a field of the wrong size.
 *
 * @example
 * ```ts
 * import { decodeReply, encodeReply } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const message = { proof: new Uint8Array(32), challenge: new Uint8Array(32).fill(1) };
 * assertEquals(decodeReply(encodeReply(message)), message);
 * ```
 */
export function encodeReply({ proof, challenge }: HandshakeReply): Uint8Array {
  checkSize("proof", proof, PROOF_BYTES);
  checkSize("challenge", challenge, CHALLENGE_BYTES);
  return new Writer(1 + PROOF_BYTES + CHALLENGE_BYTES, REPLY).copy(proof).copy(challenge).bytes;
}

/**
 * Decodes REPLY.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`.
 *
 * @example See {@linkcode encodeReply}.
 */
export function decodeReply(bytes: Uint8Array): HandshakeReply {
  const reader = new Reader(bytes, REPLY, "REPLY");
  const message = { proof: reader.copy(PROOF_BYTES), challenge: reader.copy(CHALLENGE_BYTES) };
  reader.end();
  return message;
}

/**
 * Encodes ACK.
 *
 * @throws {RangeError} for a proof of the wrong size.
 *
 * @example
 * ```ts
 * import { decodeAck, encodeAck } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const message = { proof: new Uint8Array(32) };
 * assertEquals(decodeAck(encodeAck(message)), message);
 * ```
 */
export function encodeAck({ proof }: HandshakeAck): Uint8Array {
  checkSize("proof", proof, PROOF_BYTES);
  return new Writer(1 + PROOF_BYTES, ACK).copy(proof).bytes;
}

/**
 * Decodes ACK.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`.
 *
 * @example See {@linkcode encodeAck}.
 */
export function decodeAck(bytes: Uint8Array): HandshakeAck {
  const reader = new Reader(bytes, ACK, "ACK");
  const message = { proof: reader.copy(PROOF_BYTES) };
  reader.end();
  return message;
}

/**
 * The bytes whose SHA-256 is the transcript: the first two messages, whole, and the channel that
 * carried them. So the transcript covers both names, incarnations and feature bits.
 *
 * @param name the payload of NAME, tag and extension included.
 * @param challenge the payload of CHALLENGE, likewise.
 * @param binding {@linkcode BINDING_BYTES} bytes.
 * @throws {RangeError} for a binding of the wrong size.
 *
 * @example
 * ```ts
 * import { encodeTranscript } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodeTranscript(Uint8Array.of(1), Uint8Array.of(2), new Uint8Array(32));
 * assertEquals(bytes.length, "roomcast/1".length + 1 + 4 + 1 + 4 + 1 + 32);
 * ```
 */
export function encodeTranscript(
  name: Uint8Array,
  challenge: Uint8Array,
  binding: Uint8Array,
): Uint8Array {
  checkSize("binding", binding, BINDING_BYTES);
  return concat(
    TRANSCRIPT_LABEL,
    u32(name.length),
    name,
    u32(challenge.length),
    challenge,
    binding,
  );
}

/**
 * The bytes whose HMAC is the initiator's proof.
 *
 * @param transcript the SHA-256 of {@linkcode encodeTranscript}.
 * @param challenge the initiator's own, sent with the proof.
 *
 * @example
 * ```ts
 * import { encodeReplyProof } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeReplyProof(new Uint8Array(32), new Uint8Array(32)).length, 5 + 1 + 64);
 * ```
 */
export function encodeReplyProof(transcript: Uint8Array, challenge: Uint8Array): Uint8Array {
  return concat(REPLY_LABEL, transcript, challenge);
}

/**
 * The bytes whose HMAC is the acceptor's proof.
 *
 * @param transcript the SHA-256 of {@linkcode encodeTranscript}.
 * @param reply the REPLY that it answers. The proof covers its challenge and its proof.
 *
 * @example
 * ```ts
 * import { encodeAckProof } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const reply = { proof: new Uint8Array(32), challenge: new Uint8Array(32) };
 * assertEquals(encodeAckProof(new Uint8Array(32), reply).length, 3 + 1 + 96);
 * ```
 */
export function encodeAckProof(transcript: Uint8Array, reply: HandshakeReply): Uint8Array {
  return concat(ACK_LABEL, transcript, reply.challenge, reply.proof);
}

function encodeIdentity(
  tag: number,
  { name, creation, extension }: HandshakeName,
  challenge?: Uint8Array,
): Uint8Array {
  checkRange("creation", creation, 0xff);
  if (challenge) checkSize("challenge", challenge, CHALLENGE_BYTES);
  const size = 1 + text16Length(name, "name") + 1 + (challenge?.length ?? 0);
  const writer = new Writer(size + (extension ? EXTENSION_BYTES : 0), tag);
  writer.text16(name).u8(creation);
  if (challenge) writer.copy(challenge);
  if (extension) {
    checkSize("incarnation", extension.incarnation, INCARNATION_BYTES);
    checkRange("features", extension.features, 0xffff_ffff);
    writer.copy(EXTENSION_HEAD).copy(extension.incarnation).u32(extension.features);
  }
  return writer.bytes;
}

function decodeIdentity(
  reader: Reader,
  challengeBytes = 0,
): { identity: HandshakeName; challenge: Uint8Array } {
  const span = reader.skipText16();
  const creation = reader.u8();
  const challenge = reader.copy(challengeBytes);
  const extension = decodeExtension(reader);
  const identity = { name: reader.text(span), creation };
  return { identity: extension ? { ...identity, extension } : identity, challenge };
}

function decodeExtension(reader: Reader): HandshakeExtension | undefined {
  if (reader.done) return undefined;
  if (!reader.continuesLike(EXTENSION_HEAD)) reader.end();
  reader.copy(EXTENSION_HEAD.length);
  const incarnation = reader.copy(INCARNATION_BYTES);
  const features = reader.u32();
  reader.end();
  return { incarnation, features };
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value, value >> 8, value >> 16, value >>> 24);
}

function concat(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
