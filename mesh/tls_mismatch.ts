/**
 * How a node that speaks TLS and one that does not notice the mismatch. The dialler speaks first,
 * in its own way. The acceptor sees something unexpected, and answers in its own way, which the
 * dialler cannot mistake for anything else.
 *
 * | dialler | acceptor | the acceptor's answer, before it closes |
 * | --- | --- | --- |
 * | TLS: a record, `16 03 …` | plain | two empty frames, which mean nothing and are not TLS |
 * | plain: NAME, whose length is below 768 | TLS | a TLS alert, `15 03 …` |
 */

import { MeshError } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import type { Address } from "./transport.ts";

/** Record types of TLS, RFC 8446 section 5.1: from change_cipher_spec to application_data. */
const FIRST_RECORD_TYPE = 20;
const LAST_RECORD_TYPE = 23;
/** Upper byte of the version that every record since TLS 1.0 carries. */
const RECORD_VERSION = 3;

/** What a plain node answers to TLS. */
export const PLAIN_ANSWER: Uint8Array = new Uint8Array(8);

/** What a TLS node answers to anything else: the fatal alert decode_error, as a record. */
export const TLS_ANSWER: Uint8Array = Uint8Array.of(21, 3, 3, 0, 2, 2, 50);

/** True if a stream that begins like this may be TLS. One byte is enough to say no. */
export function looksLikeTls(bytes: Uint8Array): boolean {
  const [type, version = RECORD_VERSION] = bytes;
  return type >= FIRST_RECORD_TYPE && type <= LAST_RECORD_TYPE && version === RECORD_VERSION;
}

/** The error of a plain node for a peer that speaks TLS. */
export function peerSpeaksTls(remote: Address): MeshError {
  const peer = formatAddress(remote);
  return new MeshError("peer-speaks-tls", peer, `${peer} speaks TLS, and this node has tls: false`);
}

/** The error of a TLS node for a peer that does not speak it. */
export function peerSpeaksPlain(remote: Address): MeshError {
  const peer = formatAddress(remote);
  return new MeshError(
    "peer-speaks-plain",
    peer,
    `${peer} does not speak TLS, which this node does: is it started with tls: false?`,
  );
}
