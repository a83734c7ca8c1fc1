import { assert, assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import {
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
  FrameError,
  type HandshakeExtension,
} from "../../codec/mod.ts";
import { illFormedText } from "../_arbitraries.ts";
import { assertFrameError } from "./_assert.ts";
import { readVectors } from "./_vectors.ts";

interface NodeVector {
  readonly name: string;
  readonly creation: number;
  readonly challengeHex: string;
  /** Left out, like the features, by a node of the Mesh runtime. */
  readonly incarnationHex?: string;
  readonly features?: number;
}

interface HandshakeVector {
  readonly name: string;
  readonly cookie: string;
  readonly initiator: NodeVector;
  readonly acceptor: NodeVector;
  /** Left out, like the transcript, of a handshake with the Mesh runtime. */
  readonly bindingHex?: string;
  readonly transcriptHex?: string;
  readonly nameHex: string;
  readonly challengeMessageHex: string;
  readonly replyHex: string;
  readonly ackHex: string;
}

const { cases } = await readVectors<{ cases: HandshakeVector[] }>("handshake.json");

/** Bytes of the extension at the end of NAME and CHALLENGE. */
const EXTENSION_BYTES = 15;

const extension: HandshakeExtension = {
  incarnation: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  features: 1,
};
const challenge = new Uint8Array(32).map((_, i) => 0x40 + i);
const proof = new Uint8Array(32).map((_, i) => 0x80 + i);

Deno.test("handshakes of the test vectors are encoded to the byte, proofs included", async (t) => {
  for (const vector of cases) {
    await t.step(vector.name, async () => {
      const { initiator, acceptor } = vector;
      const nameMessage = encodeName(identity(initiator));
      assertEquals(nameMessage.toHex(), vector.nameHex);
      const challengeMessage = encodeChallenge({
        ...identity(acceptor),
        challenge: Uint8Array.fromHex(acceptor.challengeHex),
      });
      assertEquals(challengeMessage.toHex(), vector.challengeMessageHex);

      const own = Uint8Array.fromHex(initiator.challengeHex);
      let replyProof, ackProof;
      if (vector.bindingHex === undefined) {
        replyProof = await hmac(vector.cookie, Uint8Array.fromHex(acceptor.challengeHex));
        ackProof = await hmac(vector.cookie, own);
      } else {
        const binding = Uint8Array.fromHex(vector.bindingHex);
        const covered = encodeTranscript(nameMessage, challengeMessage, binding);
        const transcript = await sha256(covered);
        assertEquals(transcript.toHex(), vector.transcriptHex);
        replyProof = await hmac(vector.cookie, encodeReplyProof(transcript, own));
        const reply = { proof: replyProof, challenge: own };
        ackProof = await hmac(vector.cookie, encodeAckProof(transcript, reply));
      }
      assertEquals(encodeReply({ proof: replyProof, challenge: own }).toHex(), vector.replyHex);
      assertEquals(encodeAck({ proof: ackProof }).toHex(), vector.ackHex);
    });
  }
});

Deno.test("handshakes of the test vectors are decoded to their fields", async (t) => {
  for (const vector of cases) {
    await t.step(vector.name, () => {
      const { initiator, acceptor } = vector;
      assertEquals(decodeName(Uint8Array.fromHex(vector.nameHex)), identity(initiator));
      assertEquals(decodeChallenge(Uint8Array.fromHex(vector.challengeMessageHex)), {
        ...identity(acceptor),
        challenge: Uint8Array.fromHex(acceptor.challengeHex),
      });
      const reply = decodeReply(Uint8Array.fromHex(vector.replyHex));
      assertEquals(reply.challenge.toHex(), initiator.challengeHex);
      assertEquals(reply.proof.toHex(), vector.replyHex.slice(2, 2 + 64));
      assertEquals(
        decodeAck(Uint8Array.fromHex(vector.ackHex)).proof.toHex(),
        vector.ackHex.slice(2),
      );
    });
  }
});

Deno.test("the transcript differs when the same bytes belong to another message", () => {
  const binding = new Uint8Array(32);
  const one = encodeTranscript(Uint8Array.of(1, 2), Uint8Array.of(3), binding);
  const other = encodeTranscript(Uint8Array.of(1), Uint8Array.of(2, 3), binding);
  assert(one.toHex() !== other.toHex());
  assertEquals(
    one,
    concat([
      new TextEncoder().encode("roomcast/1\0"),
      Uint8Array.of(2, 0, 0, 0, 1, 2),
      Uint8Array.of(1, 0, 0, 0, 3),
      binding,
    ]),
  );
});

Deno.test("the proofs of the two sides cover different bytes, whatever the transcript", () => {
  const transcript = new Uint8Array(32).fill(9);
  const encode = (text: string) => new TextEncoder().encode(text);
  assertEquals(
    encodeReplyProof(transcript, challenge),
    concat([encode("reply\0"), transcript, challenge]),
  );
  assertEquals(
    encodeAckProof(transcript, { proof, challenge }),
    concat([encode("ack\0"), transcript, challenge, proof]),
  );
});

Deno.test("all features and creations survive a round trip, in each of their bits", () => {
  for (const features of [0, 1, 0x8000_0000, 0xffff_ffff, 0x0102_0304]) {
    for (const creation of [0, 1, 0x80, 0xff]) {
      const message = { name: "n@h:1", creation, extension: { ...extension, features } };
      assertEquals(decodeName(encodeName(message)), message);
      assertEquals(decodeChallenge(encodeChallenge({ ...message, challenge })), {
        ...message,
        challenge,
      });
    }
  }
});

Deno.test("a NAME or CHALLENGE without the extension is one of the Mesh runtime", () => {
  const message = { name: "café@h:1", creation: 1, extension };
  const original = { name: message.name, creation: message.creation };
  const name = encodeName(message);
  assertEquals(decodeName(name.subarray(0, name.length - EXTENSION_BYTES)), original);
  const bytes = encodeChallenge({ ...message, challenge });
  assertEquals(decodeChallenge(bytes.subarray(0, bytes.length - EXTENSION_BYTES)), {
    ...original,
    challenge,
  });
});

Deno.test("an extension is refused at its first wrong byte, and truncated if it just ends", () => {
  const name = encodeName({ name: "n@h:1", creation: 1, extension });
  const start = name.length - EXTENSION_BYTES;
  for (let length = start + 1; length < name.length; length++) {
    assertFrameError(() => decodeName(name.subarray(0, length)), "truncated", length);
  }
  // Mark and version.
  for (const at of [start, start + 1, start + 2]) {
    const other = name.slice();
    other[at]++;
    for (const bytes of [other, other.subarray(0, at + 1)]) {
      assertFrameError(() => decodeName(bytes), "trailing-bytes", start);
    }
  }
  assertFrameError(
    () => decodeName(concat([name, Uint8Array.of(0)])),
    "trailing-bytes",
    name.length,
  );
});

Deno.test("a name has up to 65,535 bytes", () => {
  for (const name of ["n".repeat(65_535), "部".repeat(21_845)]) {
    const message = { name, creation: 1 };
    assertEquals(decodeName(encodeName(message)), message);
    assertEquals(decodeChallenge(encodeChallenge({ ...message, challenge })).name, name);
    const longer = { name: name + "n", creation: 1 };
    assertFrameError(() => encodeName(longer), "frame-too-long", 0);
    assertFrameError(() => encodeChallenge({ ...longer, challenge }), "frame-too-long", 0);
  }
});

Deno.test("a name with a lone surrogate is refused at its index", () => {
  fc.assert(fc.property(illFormedText, ({ illFormed, index }) => {
    const message = { name: illFormed, creation: 1 };
    assertFrameError(() => encodeName(message), "ill-formed-text", index);
    assertFrameError(() => encodeChallenge({ ...message, challenge }), "ill-formed-text", index);
  }));
});

Deno.test("a name that is not UTF-8 is reported once all lengths are right", () => {
  const name = encodeName({ name: "n@h:1", creation: 1, extension });
  name[5] = 0xff;
  assertFrameError(() => decodeName(name), "invalid-utf8", 5);
  assertFrameError(() => decodeName(name.subarray(0, 8)), "truncated", 8);
  assertFrameError(
    () => decodeName(concat([name, Uint8Array.of(0)])),
    "trailing-bytes",
    name.length,
  );
});

Deno.test("a field of another size or range is a programming error, which names the field", () => {
  const short = new Uint8Array(31);
  const long = new Uint8Array(33);
  const name = { name: "n@h:1", creation: 1 };
  const mistakes: [field: string, run: () => unknown][] = [
    ["incarnation", () => encodeName({ ...name, extension: { incarnation: short, features: 1 } })],
    [
      "incarnation",
      () => encodeName({ ...name, extension: { incarnation: new Uint8Array(7), features: 1 } }),
    ],
    ["binding", () => encodeTranscript(short, short, short)],
    ["binding", () => encodeTranscript(short, short, long)],
  ];
  for (const bytes of [short, long, new Uint8Array()]) {
    mistakes.push(
      ["challenge", () => encodeChallenge({ ...name, challenge: bytes })],
      ["challenge", () => encodeReply({ proof, challenge: bytes })],
      ["proof", () => encodeReply({ proof: bytes, challenge })],
      ["proof", () => encodeAck({ proof: bytes })],
    );
  }
  for (const creation of [-1, 256, 1.5, NaN]) {
    mistakes.push(["creation", () => encodeName({ ...name, creation })]);
  }
  for (const features of [-1, 2 ** 32, 1.5, NaN]) {
    mistakes.push([
      "features",
      () => encodeName({ ...name, extension: { ...extension, features } }),
    ]);
  }
  for (const [field, run] of mistakes) {
    const error = assertThrows(run, RangeError, field);
    assert(!(error instanceof FrameError));
  }
});

function identity({ name, creation, incarnationHex, features }: NodeVector) {
  if (incarnationHex === undefined || features === undefined) return { name, creation };
  const incarnation = Uint8Array.fromHex(incarnationHex);
  return { name, creation, extension: { incarnation, features } };
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice()));
}

async function hmac(cookie: string, bytes: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const secret = new TextEncoder().encode(cookie);
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes.slice()));
}
