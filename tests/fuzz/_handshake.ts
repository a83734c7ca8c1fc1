/**
 * Both roles of the handshake, against a peer that says anything, in every state. Byte 0 of an input
 * is what {@linkcode Setting} says; the rest is what the peer sends. The reference plays the same role
 * in its own plain way: outcome, identity, what was said and what was read must be the same. So nobody
 * is let in but who has proven the cookie over what was said, and nobody learns a proof before that is
 * due. With {@linkcode Setting.KnowsCookie} the peer is a member that misbehaves: its proof, where it
 * sends one, is made good.
 */

import { createHash, createHmac } from "node:crypto";
import { concat } from "@std/bytes";
import { encodeChallenge, encodeFrame, encodeName } from "../../codec/mod.ts";
import { Cookies } from "../../mesh/cookies.ts";
import { accept, initiate, newIdentity, type NodeIdentity } from "../../mesh/handshake.ts";
import { MeshError, type MeshErrorCode } from "../../mesh/mod.ts";
import { parseNodeName, parsePeerName } from "../../mesh/node_name.ts";
import { splitFrames } from "./_mutate.ts";
import { Fault, orFault, referenceFixed, type ReferenceName, referenceName } from "./_reference.ts";
import { ScriptedConnection } from "./_scripted_connection.ts";
import { check, checkSame, type Target } from "./_target.ts";

/** Bits of the first byte of an input. */
enum Setting {
  AllowMeshLang = 1,
  Bound = 2,
  KnowsCookie = 4,
  /** The peer's end breaks, instead of being closed. */
  Broken = 8,
  /** Which cookie a peer has that knows one. */
  SecondCookie = 16,
  /** In single bytes, or in pieces of up to 5 bytes with both. */
  Bytewise = 32,
  Piecewise = 64,
  /** Of a proof that was made good, one bit is wrong: which one, the byte says that was there. */
  Spoilt = 128,
}

const COOKIES = ["correct horse battery staple", "another secret, older than that"];
const BINDING = new Uint8Array(32).fill(0xb1);
const OWN_CHALLENGE = Uint8Array.from({ length: 32 }, (_, i) => 64 + i);
const OWN_INCARNATION = "0101010101010101";
/** The node that is spoken to. */
export const SELF_NAME = "self@10.0.0.1:9000";
const SELF = newIdentity(SELF_NAME, Uint8Array.fromHex(OWN_INCARNATION));
const OWN_FEATURES = 0b11111;
const OWN_EXTENSION = {
  incarnation: Uint8Array.fromHex(OWN_INCARNATION),
  features: OWN_FEATURES,
};
const OWN_NAME = encodeName({ name: SELF.name, creation: 1, extension: OWN_EXTENSION });
const OWN_CHALLENGE_MESSAGE = encodeChallenge({
  name: SELF.name,
  creation: 1,
  challenge: OWN_CHALLENGE,
  extension: OWN_EXTENSION,
});
const MAX_FRAME_BYTES = 4096;

interface Case {
  readonly has: (setting: Setting) => boolean;
  readonly script: Uint8Array;
  /** True for a whole node, which has more reasons to refuse a peer than the handshake alone. */
  readonly isNode?: boolean;
}

/** How a handshake ends, and what was seen of it from outside. */
interface Ending {
  readonly outcome: MeshErrorCode | NodeIdentity;
  readonly said: string;
  readonly bytesRead: number;
}

class Refusal {
  readonly code: MeshErrorCode;

  constructor(code: MeshErrorCode) {
    this.code = code;
  }
}

function hmac(cookie: string, ...parts: (string | Uint8Array)[]): string {
  const mac = createHmac("sha256", cookie);
  for (const part of parts) mac.update(part);
  return mac.digest("hex");
}

function transcript(name: Uint8Array, challenge: Uint8Array, isBound: boolean): Uint8Array {
  const size = ({ length }: Uint8Array) => new Uint8Array(Uint32Array.of(length).buffer);
  const hash = createHash("sha256").update("roomcast/1\0");
  for (const part of [size(name), name, size(challenge), challenge]) hash.update(part);
  hash.update(isBound ? BINDING : new Uint8Array(32));
  return new Uint8Array(hash.digest());
}

/** A side of the handshake as the reference plays it: reads its script, says what it must. */
class Side {
  at = 0;
  readonly said: Uint8Array[] = [];
  readonly #case: Case;

  constructor(c: Case) {
    this.#case = c;
  }

  say(payload: Uint8Array): void {
    this.said.push(encodeFrame(payload));
  }

  next(codeIfClosed: MeshErrorCode = "closed"): Uint8Array {
    for (;;) {
      const header = this.#take(4, codeIfClosed);
      const length = header[0] + 256 * header[1] + 65_536 * header[2] + 2 ** 24 * header[3];
      if (length <= MAX_FRAME_BYTES) {
        if (length > 0) return this.#take(length, codeIfClosed);
        continue;
      }
      if (header[0] < 20 || header[0] > 23 || header[1] !== 3) throw new Refusal("malformed");
      try {
        const [last] = this.#take(1, "closed");
        this.#take(256 * header[3] + last, "closed");
        this.said.push(new Uint8Array(8));
      } catch {
        // It does not wait for an answer.
      }
      throw new Refusal("peer-speaks-tls");
    }
  }

  #take(size: number, codeIfClosed: MeshErrorCode): Uint8Array {
    const { script } = this.#case;
    const piece = script.subarray(this.at, this.at + size);
    this.at += piece.length;
    if (piece.length < size) throw new Refusal(codeIfClosed);
    return piece;
  }
}

function orRefusal<T>(read: () => T): T {
  const result = orFault(read);
  if (result instanceof Fault) throw new Refusal("malformed");
  return result;
}

function identified({ name, incarnation, features }: ReferenceName, c: Case): NodeIdentity {
  if (incarnation === undefined && !c.has(Setting.AllowMeshLang)) {
    throw new Refusal("mesh-lang-handshake");
  }
  try {
    // Targets of their own.
    if (incarnation === undefined) parsePeerName(name);
    else parseNodeName(name);
  } catch {
    throw new Refusal("invalid-address");
  }
  return { name, incarnation: incarnation ?? "", features: features ?? 0 };
}

function refuseOwn({ name, incarnation }: NodeIdentity): void {
  if (name !== SELF.name) return;
  throw new Refusal(incarnation === OWN_INCARNATION ? "own-name" : "duplicate-name");
}

/** The proof that an initiator owes, by the cookie at `index`. */
function replyProof(name: Uint8Array, challenge: string, c: Case, index: number): string {
  const isMeshLang = referenceName(name, 1).incarnation === undefined;
  if (isMeshLang) return hmac(COOKIES[index], OWN_CHALLENGE);
  const over = transcript(name, OWN_CHALLENGE_MESSAGE, c.has(Setting.Bound));
  return hmac(COOKIES[index], "reply\0", over, Uint8Array.fromHex(challenge));
}

/** The proof that an acceptor owes for the proof that it has got. */
function ackProof(challengeMessage: Uint8Array, proof: string, c: Case, index: number): string {
  const isMeshLang = referenceName(challengeMessage, 2).incarnation === undefined;
  if (isMeshLang) return hmac(COOKIES[index], OWN_CHALLENGE);
  const over = transcript(OWN_NAME, challengeMessage, c.has(Setting.Bound));
  return hmac(COOKIES[index], "ack\0", over, OWN_CHALLENGE, Uint8Array.fromHex(proof));
}

function ownReplyProof(challengeMessage: Uint8Array, c: Case): string {
  const { incarnation, challenge } = referenceName(challengeMessage, 2);
  if (incarnation === undefined) return hmac(COOKIES[0], Uint8Array.fromHex(challenge));
  const over = transcript(OWN_NAME, challengeMessage, c.has(Setting.Bound));
  return hmac(COOKIES[0], "reply\0", over, OWN_CHALLENGE);
}

function ownAckProof(name: Uint8Array, reply: string[], c: Case, index: number): string {
  const [proof, challenge] = reply.map((hex) => Uint8Array.fromHex(hex));
  if (referenceName(name, 1).incarnation === undefined) return hmac(COOKIES[index], challenge);
  const over = transcript(name, OWN_CHALLENGE_MESSAGE, c.has(Setting.Bound));
  return hmac(COOKIES[index], "ack\0", over, challenge, proof);
}

function referenceAccept(side: Side, c: Case): NodeIdentity {
  const name = side.next();
  const peer = identified(orRefusal(() => referenceName(name, 1)), c);
  side.say(OWN_CHALLENGE_MESSAGE);
  refuseOwn(peer);
  const message = side.next();
  const reply = orRefusal(() => referenceFixed(message, 3, [32, 32]));
  const index = COOKIES.findIndex((_, i) => replyProof(name, reply[1], c, i) === reply[0]);
  if (index < 0) throw new Refusal("wrong-cookie");
  side.say(Uint8Array.of(4, ...Uint8Array.fromHex(ownAckProof(name, reply, c, index))));
  return peer;
}

function referenceInitiate(side: Side, c: Case): NodeIdentity {
  side.say(OWN_NAME);
  const challengeMessage = side.next();
  const peer = identified(orRefusal(() => referenceName(challengeMessage, 2)), c);
  refuseOwn(peer);
  // A node does not dial observers, which announce feature bit 5.
  if (c.isNode && (peer.features & 32) !== 0) throw new Refusal("observer");
  const proof = ownReplyProof(challengeMessage, c);
  side.say(concat([Uint8Array.of(3), Uint8Array.fromHex(proof), OWN_CHALLENGE]));
  const message = side.next("not-accepted");
  const [ack] = orRefusal(() => referenceFixed(message, 4, [32]));
  const isGood = COOKIES.some((_, i) => ackProof(challengeMessage, proof, c, i) === ack);
  if (!isGood) throw new Refusal("wrong-cookie");
  return peer;
}

export type Role = "acceptor" | "initiator";

function reference(role: Role, c: Case): Ending {
  const side = new Side(c);
  let outcome: Ending["outcome"];
  try {
    outcome = role === "acceptor" ? referenceAccept(side, c) : referenceInitiate(side, c);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    outcome = error.code;
  }
  return { outcome, said: concat(side.said).toHex(), bytesRead: side.at };
}

/**
 * How a handshake with a stranger ends, who knows no cookie, whatever the challenges are; and whether it
 * was told that it speaks TLS to a node that does not.
 */
export function referenceOfStranger(
  role: Role,
  script: Uint8Array,
): { code: MeshErrorCode; isAnswered: boolean } {
  const { outcome, said } = reference(role, { has: () => false, script, isNode: true });
  if (typeof outcome !== "string") throw new Error("a stranger has guessed a proof");
  return { code: outcome, isAnswered: said.endsWith("00".repeat(8)) };
}

async function actual(role: Role, c: Case): Promise<Ending> {
  const chunkBytes = c.has(Setting.Piecewise)
    ? c.has(Setting.Bytewise) ? 5 : 33
    : c.has(Setting.Bytewise)
    ? 1
    : Infinity;
  const connection = new ScriptedConnection(c.script, {
    binding: c.has(Setting.Bound) ? BINDING : undefined,
    chunkBytes,
    isBroken: c.has(Setting.Broken),
  });
  const identities: NodeIdentity[] = [];
  const options = {
    self: SELF,
    allowMeshLang: c.has(Setting.AllowMeshLang),
    cookies: new Cookies(COOKIES),
    randomBytes: () => OWN_CHALLENGE,
    onIdentity: (peer: NodeIdentity) => void identities.push(peer),
  };
  let outcome: Ending["outcome"];
  try {
    if (role === "initiator") outcome = await initiate(connection, options);
    else {
      const { peer, ack } = await accept(connection, options);
      connection.written.push(encodeFrame(ack));
      outcome = peer;
    }
    checkSame(identities, [outcome], "identities told of");
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    outcome = error.code;
    check(error.message.length < 2000, "the message of an error is short enough for a log");
  }
  check(connection.largestRead <= MAX_FRAME_BYTES, `${connection.largestRead} bytes are held`);
  return { outcome, said: concat(connection.written).toHex(), bytesRead: connection.at };
}

/** Makes the peer's proof good, if the second frame has the size for one. */
function proveFor(role: Role, c: Case): void {
  const [first, second] = splitFrames(c.script).filter(({ length }) => length > 0);
  if (first === undefined || second === undefined) return;
  const size = role === "acceptor" ? 65 : 33;
  const greeting = orFault(() => referenceName(first, role === "acceptor" ? 1 : 2));
  if (second.length !== size || greeting instanceof Fault) return;
  const index = c.has(Setting.SecondCookie) ? 1 : 0;
  const proof = role === "acceptor"
    ? replyProof(first, second.slice(33).toHex(), c, index)
    : ackProof(first, ownReplyProof(first, c), c, index);
  const [, spoiler] = second;
  second.set(Uint8Array.fromHex(proof), 1);
  if (c.has(Setting.Spoilt)) second[1 + spoiler % 32] ^= 1 << (spoiler >> 5);
}

async function run(role: Role, input: Uint8Array): Promise<string> {
  const [settings = 0] = input;
  const c: Case = {
    has: (setting) => (settings & setting) !== 0,
    script: input.slice(1),
  };
  if (c.has(Setting.KnowsCookie)) proveFor(role, c);
  const expected = reference(role, c);
  const found = await actual(role, c);
  checkSame(found.outcome, expected.outcome, "outcome");
  checkSame(found.said, expected.said, "said");
  checkSame(found.bytesRead, expected.bytesRead, "bytes read");
  const { outcome, said } = found;
  if (typeof outcome === "string") return `${outcome}, ${said.length / 2} said`;
  return `linked${outcome.incarnation === "" ? " to a Mesh runtime" : ""}, settings ${
    settings & 31
  }`;
}

function examples(role: Role): Uint8Array[] {
  const challenge = new Uint8Array(32).fill(7);
  const proof = new Uint8Array(32);
  const extension = { incarnation: new Uint8Array(8).fill(9), features: 1 };
  const scripts = ["peer@10.0.0.2:9000", SELF.name, "nobody"].flatMap((name) =>
    [undefined, extension, OWN_EXTENSION].map((extension) => {
      const identity = { name, creation: 1, extension };
      return role === "acceptor"
        ? [encodeName(identity), Uint8Array.of(3, ...proof, ...challenge)]
        : [encodeChallenge({ ...identity, challenge }), Uint8Array.of(4, ...proof)];
    })
  );
  const settings = [4, 5, 6, 7, 4 + 16, 4 + 32, 6 + 64, 4 + 8, 0, 1, 4 + 128, 5 + 128];
  const tls = Uint8Array.of(22, 3, 1, 1, 0, 1, ...new Uint8Array(255));
  return [
    ...settings.map((setting) =>
      concat([Uint8Array.of(setting), ...scripts[1].map((payload) => encodeFrame(payload))])
    ),
    ...scripts.map((script) =>
      concat([Uint8Array.of(5), ...script.map((payload) => encodeFrame(payload))])
    ),
    Uint8Array.of(0, ...tls),
    Uint8Array.of(4, ...new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a\r\n\r\n")),
  ];
}

export const HANDSHAKE_TARGETS: readonly Target[] = (["acceptor", "initiator"] as const).map(
  (role) => ({
    name: role,
    framesFrom: 1,
    testSeeds: 4_000,
    examples: examples(role),
    run: (input) => run(role, input),
  }),
);
