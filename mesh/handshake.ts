/**
 * The four messages that open a link, over a connection (`docs/wire.md`, "Handshake"):
 *
 * ```text
 * initiator                                acceptor
 *   NAME       who is calling          ──▶
 *                                      ◀──  CHALLENGE  who answers, random bytes
 *   REPLY      proof, random bytes     ──▶  verified: may become a link
 *                                      ◀──  ACK        proof
 *   verified: is a link
 * ```
 *
 * Each proof covers the first two messages, and so both names, incarnations and feature bits. It
 * also covers both challenges, the role of its sender, and the channel's binding. A failed proof
 * ends the connection without a message.
 *
 * `mesh_lang.ts` describes what is different for a node of the Mesh runtime.
 *
 * `initiate` and `accept` talk and verify. Their caller decides whether the link is wanted, and
 * ends a slow handshake by closing the connection. They hold one frame of at most 4 KiB.
 */

import { createHash } from "node:crypto";
import {
  BINDING_BYTES,
  CHALLENGE_BYTES,
  decodeAck,
  decodeChallenge,
  decodeName,
  decodeReply,
  encodeAck,
  encodeAckProof,
  encodeChallenge,
  encodeName,
  encodeReply,
  encodeReplyProof,
  encodeTranscript,
  FEATURE_GOODBYE,
  FEATURE_MISSED,
  FEATURE_OBSERVER,
  FEATURE_ROOM_CLOSE,
  FEATURE_ROOM_INTEREST,
  FEATURE_ROOM_MESSAGE,
  type HandshakeName,
  type HandshakeReply,
} from "../codec/mod.ts";
import type { RandomBytes } from "../backplane/clock.ts";
import { fromHex, toHex } from "../codec/hex.ts";
import type { Cookies } from "./cookies.ts";
import { malformedHandshake, readFrame, writeFrame } from "./handshake_frames.ts";
import { MeshError } from "./mesh_error.ts";
import { isMeshLang, meshLangIdentity, meshLangProofs, meshLangRefused } from "./mesh_lang.ts";
import { formatAddress, parseNodeName, parsePeerName } from "./node_name.ts";
import type { Connection } from "./transport.ts";

const CREATION = 1;
const NO_BINDING: Uint8Array = new Uint8Array(BINDING_BYTES);

/** How other nodes know a node. */
export interface NodeIdentity {
  /** Full name, `local@host:port`. */
  readonly name: string;
  /** 16 hexadecimal digits, chosen at random when the node starts; empty for the Mesh runtime. */
  readonly incarnation: string;
  /** Feature bits, as in `docs/wire.md`. */
  readonly features: number;
}

/** All that this version understands. */
export const ALL_FEATURES: number = FEATURE_GOODBYE | FEATURE_ROOM_MESSAGE | FEATURE_ROOM_INTEREST |
  FEATURE_MISSED | FEATURE_ROOM_CLOSE;

/** What this node brings to a handshake. */
export interface HandshakeOptions {
  readonly self: NodeIdentity;
  /** True: nodes of the Mesh runtime are let in, with their own handshake. */
  readonly allowMeshLang: boolean;
  readonly cookies: Cookies;
  readonly randomBytes: RandomBytes;
  /**
   * Called with the identity that the other side claims, before this side continues. It throws to
   * end the handshake. Nothing is proven yet.
   */
  readonly onIdentity: (peer: NodeIdentity) => void;
}

/** True for a node that observes the cluster and is not a member of it. */
export function isObserver({ features }: NodeIdentity): boolean {
  return (features & FEATURE_OBSERVER) !== 0;
}

/** A new identity for a node that starts. */
export function newIdentity(
  name: string,
  incarnation: Uint8Array,
  features: number = ALL_FEATURES,
): NodeIdentity {
  return { name, incarnation: toHex(incarnation), features };
}

/**
 * Runs the whole handshake as the initiator.
 *
 * @throws {MeshError} what `onIdentity` throws, `own-name`, `duplicate-name`, `wrong-cookie`,
 * `not-accepted`, `malformed`, `invalid-address`, `mesh-lang-handshake`, `peer-speaks-tls`,
 * `closed`.
 */
export async function initiate(
  connection: Connection,
  { self, allowMeshLang, cookies, randomBytes, onIdentity }: HandshakeOptions,
): Promise<NodeIdentity> {
  const name = encodeName(toMessage(self));
  await writeFrame(connection, name);
  const challengeMessage = await readFrame(connection);
  const message = decode(connection, decodeChallenge, challengeMessage);
  const peer = identify(connection, message, allowMeshLang);
  refuseOwnName(self, peer);
  onIdentity(peer);
  const proven = isMeshLang(peer)
    ? meshLangProofs(message.challenge)
    : boundProofs(name, challengeMessage, connection.binding);
  const challenge = randomBytes(CHALLENGE_BYTES);
  const proof = cookies.prove(proven.byReply(challenge));
  await writeFrame(connection, encodeReply({ proof, challenge }));
  const ack = decode(connection, decodeAck, await readFrame(connection, "not-accepted"));
  const index = cookies.verify(proven.byAck({ proof, challenge }), ack.proof);
  if (index < 0) throw wrongCookie(connection);
  return peer;
}

/** An initiator that has proven itself, and the answer if it is let in. */
export interface Accepted {
  readonly peer: NodeIdentity;
  /** The payload of ACK. The link exists for the initiator as soon as it has this. */
  readonly ack: Uint8Array;
}

/**
 * Runs the handshake as the acceptor, up to but not including the last message.
 *
 * @throws {MeshError} what `onIdentity` throws, `own-name`, `duplicate-name`, `wrong-cookie`,
 * `malformed`, `invalid-address`, `mesh-lang-handshake`, `peer-speaks-tls`, `closed`.
 */
export async function accept(
  connection: Connection,
  { self, allowMeshLang, cookies, randomBytes, onIdentity }: HandshakeOptions,
): Promise<Accepted> {
  const name = await readFrame(connection);
  const peer = identify(connection, decode(connection, decodeName, name), allowMeshLang);
  onIdentity(peer);
  const challenge = randomBytes(CHALLENGE_BYTES);
  const challengeMessage = encodeChallenge({ ...toMessage(self), challenge });
  await writeFrame(connection, challengeMessage);
  // Only now, so that the other side can tell from CHALLENGE why the handshake ends.
  refuseOwnName(self, peer);
  const reply = decode(connection, decodeReply, await readFrame(connection));
  const proven = isMeshLang(peer)
    ? meshLangProofs(challenge)
    : boundProofs(name, challengeMessage, connection.binding);
  const index = cookies.verify(proven.byReply(reply.challenge), reply.proof);
  if (index < 0) throw wrongCookie(connection);
  // With the cookie that the initiator used: during a rotation it may have no other.
  const proof = cookies.prove(proven.byAck(reply), index);
  return { peer, ack: encodeAck({ proof }) };
}

function refuseOwnName(self: NodeIdentity, peer: NodeIdentity): void {
  if (peer.name !== self.name) return;
  throw peer.incarnation === self.incarnation
    ? new MeshError("own-name", self.name, `${self.name} is this node itself`)
    : new MeshError("duplicate-name", self.name, `another live node is named ${self.name} too`);
}

/** The bytes that the proofs of a handshake cover. */
export interface Proofs {
  /** For the initiator's proof, which is sent with its own challenge. */
  byReply(challenge: Uint8Array): Uint8Array;
  /** For the acceptor's proof, which answers the initiator's. */
  byAck(reply: HandshakeReply): Uint8Array;
}

function boundProofs(
  name: Uint8Array,
  challengeMessage: Uint8Array,
  binding: Uint8Array = NO_BINDING,
): Proofs {
  const bytes = encodeTranscript(name, challengeMessage, binding);
  const transcript = new Uint8Array(createHash("sha256").update(bytes).digest());
  return {
    byReply: (challenge) => encodeReplyProof(transcript, challenge),
    byAck: (reply) => encodeAckProof(transcript, reply),
  };
}

function toMessage({ name, incarnation, features }: NodeIdentity): HandshakeName {
  const extension = { incarnation: fromHex(incarnation), features };
  return { name, creation: CREATION, extension };
}

function identify(
  connection: Connection,
  { name, extension }: HandshakeName,
  allowMeshLang: boolean,
): NodeIdentity {
  if (extension === undefined && !allowMeshLang) throw meshLangRefused(name, connection);
  if (extension === undefined) parsePeerName(name);
  else parseNodeName(name);
  if (extension === undefined) return meshLangIdentity(name);
  return { name, incarnation: toHex(extension.incarnation), features: extension.features };
}

function decode<T>(
  connection: Connection,
  decoder: (bytes: Uint8Array) => T,
  bytes: Uint8Array,
): T {
  try {
    return decoder(bytes);
  } catch (error) {
    throw malformedHandshake(connection, error);
  }
}

function wrongCookie(connection: Connection): MeshError {
  const address = formatAddress(connection.remoteAddress);
  return new MeshError("wrong-cookie", address, `${address} does not know our cookie`);
}
