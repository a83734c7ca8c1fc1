/** The codec against the test vectors. Its other tests use nothing that differs between runtimes. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  decodeAck,
  decodeChallenge,
  decodeName,
  decodePeerList,
  decodePing,
  decodePong,
  decodeReply,
  decodeRoomBroadcast,
  decodeRoomClose,
  decodeRoomMessage,
  encodeAckProof,
  encodeChallenge,
  encodeGoodbye,
  encodeName,
  encodePeerList,
  encodePing,
  encodePong,
  encodeReplyProof,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomMessage,
  encodeTranscript,
  FrameError,
  type HandshakeName,
} from "../../../codec/mod.ts";
import type { Cases } from "../../websocket/cases/_cases.ts";

interface Invalid {
  readonly name?: string;
  readonly hex: string;
  readonly code: string;
}

type Text = string | { readonly repeat: string; readonly times: number };

interface RoomBroadcasts {
  readonly valid: readonly {
    readonly name: string;
    readonly room: Text;
    readonly message: Text;
    readonly hex?: string;
    readonly length?: number;
    readonly headHex?: string;
  }[];
  readonly invalid: readonly Invalid[];
}

interface RoomMessages {
  readonly valid: readonly {
    readonly rooms: string[];
    readonly except: string[];
    readonly text?: string;
    readonly bytes?: string;
    readonly hex: string;
  }[];
  readonly invalid: readonly Invalid[];
  readonly closeValid: readonly {
    readonly room: string;
    readonly code: number;
    readonly reason: string;
    readonly hex: string;
  }[];
  readonly closeInvalid: readonly Invalid[];
}

interface Session {
  readonly peerList: {
    readonly valid: readonly { readonly names: string[]; readonly hex: string }[];
    readonly invalid: readonly Invalid[];
  };
  readonly ping: { readonly payloadHex: string; readonly hex: string };
  readonly pong: { readonly payloadHex: string; readonly hex: string };
  readonly goodbye: { readonly hex: string };
}

interface HandshakeNode {
  readonly name: string;
  readonly creation: number;
  readonly incarnationHex?: string;
  readonly features?: number;
  readonly challengeHex: string;
}

interface Handshakes {
  readonly cases: readonly {
    readonly cookie: string;
    readonly initiator: HandshakeNode;
    readonly acceptor: HandshakeNode;
    readonly bindingHex?: string;
    readonly transcriptHex?: string;
    readonly nameHex: string;
    readonly challengeMessageHex: string;
    readonly replyHex: string;
    readonly ackHex: string;
  }[];
}

function vectors<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`../../testdata/${file}`, import.meta.url), "utf8"));
}

function expand(text: Text): string {
  return typeof text === "string" ? text : text.repeat.repeat(text.times);
}

// Not Buffer itself, which compares as another type.
function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function refuses(decode: (bytes: Uint8Array) => unknown, invalid: readonly Invalid[]): void {
  assert.ok(invalid.length > 0);
  for (const { name = "", hex, code } of invalid) {
    assert.throws(
      () => decode(fromHex(hex)),
      (error) => error instanceof FrameError && error.code === code,
      `${name} ${hex}`,
    );
  }
}

function identity({ name, creation, incarnationHex, features = 0 }: HandshakeNode): HandshakeName {
  if (incarnationHex === undefined) return { name, creation };
  return { name, creation, extension: { incarnation: fromHex(incarnationHex), features } };
}

export const CODEC: Cases = {
  "the vectors of a room broadcast hold": () => {
    const { valid, invalid } = vectors<RoomBroadcasts>("room_broadcast.json");
    for (const { name, hex, length, headHex = "", ...texts } of valid) {
      const [room, message] = [expand(texts.room), expand(texts.message)];
      const bytes = encodeRoomBroadcast(room, message);
      if (hex !== undefined) assert.equal(toHex(bytes), hex, name);
      else assert.equal(bytes.length, length, name);
      assert.ok(toHex(bytes).startsWith(headHex), name);
      assert.deepEqual(decodeRoomBroadcast(bytes), { room, message }, name);
    }
    refuses(decodeRoomBroadcast, invalid);
  },

  "the vectors of a room message and a room close hold": () => {
    const { valid, invalid, closeValid, closeInvalid } = vectors<RoomMessages>("room_message.json");
    for (const { rooms, except, text, bytes = "", hex } of valid) {
      const decoded = { rooms, except, message: text ?? fromHex(bytes) };
      assert.equal(toHex(encodeRoomMessage(decoded)), hex);
      assert.deepEqual(decodeRoomMessage(fromHex(hex)), decoded);
    }
    refuses(decodeRoomMessage, invalid);
    for (const { room, code, reason, hex } of closeValid) {
      assert.equal(toHex(encodeRoomClose(room, code, reason)), hex);
      assert.deepEqual(decodeRoomClose(fromHex(hex)), { room, code, reason });
    }
    refuses(decodeRoomClose, closeInvalid);
  },

  "the vectors of a session hold": () => {
    const { peerList, ping, pong, goodbye } = vectors<Session>("session.json");
    for (const { names, hex } of peerList.valid) {
      assert.equal(toHex(encodePeerList(names)), hex);
      assert.deepEqual(decodePeerList(fromHex(hex)), names);
    }
    refuses(decodePeerList, peerList.invalid);
    assert.equal(toHex(encodePing(fromHex(ping.payloadHex))), ping.hex);
    assert.equal(toHex(decodePing(fromHex(ping.hex))), ping.payloadHex);
    assert.equal(toHex(encodePong(fromHex(pong.payloadHex))), pong.hex);
    assert.equal(toHex(decodePong(fromHex(pong.hex))), pong.payloadHex);
    assert.equal(toHex(encodeGoodbye()), goodbye.hex);
  },

  "the vectors of a handshake hold, proofs included": () => {
    const { cases } = vectors<Handshakes>("handshake.json");
    assert.ok(cases.length > 0);
    for (const vector of cases) {
      const { initiator, acceptor, bindingHex, cookie } = vector;
      const name = encodeName(identity(initiator));
      assert.equal(toHex(name), vector.nameHex);
      assert.deepEqual(decodeName(name), identity(initiator));
      const asked = { ...identity(acceptor), challenge: fromHex(acceptor.challengeHex) };
      const challenge = encodeChallenge(asked);
      assert.equal(toHex(challenge), vector.challengeMessageHex);
      assert.deepEqual(decodeChallenge(challenge), asked);

      const reply = decodeReply(fromHex(vector.replyHex));
      const ack = decodeAck(fromHex(vector.ackHex));
      const mac = (bytes: Uint8Array) => createHmac("sha256", cookie).update(bytes).digest("hex");
      if (bindingHex === undefined) {
        assert.equal(toHex(reply.proof), mac(asked.challenge));
        assert.equal(toHex(ack.proof), mac(reply.challenge));
        continue;
      }
      const covered = encodeTranscript(name, challenge, fromHex(bindingHex));
      const transcript = new Uint8Array(createHash("sha256").update(covered).digest());
      assert.equal(toHex(transcript), vector.transcriptHex);
      assert.equal(toHex(reply.proof), mac(encodeReplyProof(transcript, reply.challenge)));
      assert.equal(toHex(ack.proof), mac(encodeAckProof(transcript, reply)));
    }
  },
};
