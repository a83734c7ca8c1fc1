/**
 * Targets for each message of docs/wire.md: the codec must say of any bytes what the reference says of them,
 * value or code and offset, and encode what it has decoded to the same bytes again. Inputs lie in a
 * larger buffer, between bytes that go on plausibly; and what was decoded must stay as it is when the
 * buffer is used for something else.
 */

import { Buffer } from "node:buffer";
import {
  BroadcastView,
  checkBroadcast,
  checkGoodbye,
  decodeAck,
  decodeChallenge,
  decodeMissed,
  decodeName,
  decodePeerList,
  decodePing,
  decodePong,
  decodeReply,
  decodeRoomBroadcast,
  decodeRoomClose,
  decodeRoomInterest,
  decodeRoomMessage,
  encodeAck,
  encodeChallenge,
  encodeGoodbye,
  encodeMissed,
  encodeName,
  encodePeerList,
  encodePing,
  encodePong,
  encodeReply,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomInterest,
  encodeRoomMessage,
  FrameError,
  type HandshakeName,
  type RoomBroadcast,
  type RoomMessage,
  RoomNames,
  targetRooms,
} from "../../codec/mod.ts";
import {
  Fault,
  orFault,
  referenceFixed,
  referenceMissed,
  type ReferenceName,
  referenceName,
  referencePeerList,
  referenceRoomBroadcast,
  referenceRoomClose,
  referenceRoomInterest,
  referenceRoomMessage,
} from "./_reference.ts";
import { check, checkSame, magnitude, type Target } from "./_target.ts";

/** One message, for the codec and for the reference. */
interface Format {
  /** Decodes with the codec: a value like the reference's, and how to encode it again. */
  decode(bytes: Uint8Array): { describe(): unknown; encode(): Uint8Array };
  reference(bytes: Uint8Array): unknown;
}

function format<T>(
  decode: (bytes: Uint8Array) => T,
  encode: (message: T) => Uint8Array,
  describe: (message: T) => unknown,
  reference: (bytes: Uint8Array) => unknown,
): Format {
  return {
    decode: (bytes) => {
      const message = decode(bytes);
      return { describe: () => describe(message), encode: () => encode(message) };
    },
    reference,
  };
}

const asIs = <T>(message: T) => message;
const hex = (bytes: Uint8Array) => bytes.toHex();

function describeName(
  { name, creation, extension, challenge }: HandshakeName & { challenge?: Uint8Array },
): ReferenceName {
  return {
    name,
    creation,
    challenge: challenge?.toHex() ?? "",
    incarnation: extension?.incarnation.toHex(),
    features: extension?.features,
  };
}

function describeRoomMessage({ rooms, except, message }: RoomMessage) {
  return typeof message === "string"
    ? { rooms, except, text: message }
    : { rooms, except, hex: message.toHex() };
}

/** Used for all inputs, so that what one leaves behind shows in the next. */
const roomNames = new RoomNames();

/** Reads step by step, in the order in which decoding at once does. */
function viewed(bytes: Uint8Array, tag: number): RoomMessage {
  // A view takes both messages, the reference one.
  if (bytes.length > 0 && bytes[0] !== tag) throw new FrameError("wrong-tag", 0, "another message");
  checkBroadcast(bytes);
  const view = new BroadcastView(bytes);
  const rooms = view.rooms(roomNames);
  checkSame(targetRooms(bytes), rooms, "target rooms");
  const except = view.except(roomNames);
  const fault = faultOf(() => view.checkText());
  checkSame(fault, faultOf(() => view.message()), "what is wrong with the text");
  const message = view.message();
  const encoded = typeof message === "string" ? new TextEncoder().encode(message) : message;
  checkSame(view.messageBytes().toHex(), encoded.toHex(), "the message's bytes");
  return { rooms, except, message };
}

function faultOf(run: () => unknown): Fault | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof FrameError) return new Fault(error.code, error.offset);
    throw error;
  }
  return undefined;
}

function viewedRoomBroadcast(bytes: Uint8Array): RoomBroadcast {
  const { rooms: [room], message } = viewed(bytes, 0x1e);
  if (typeof message !== "string") throw new TypeError("a room broadcast is text");
  return { room, message };
}

const ROOM_BROADCAST = [
  format(
    decodeRoomBroadcast,
    ({ room, message }) => encodeRoomBroadcast(room, message),
    asIs,
    referenceRoomBroadcast,
  ),
  format(
    viewedRoomBroadcast,
    ({ room, message }) => encodeRoomBroadcast(room, new TextEncoder().encode(message)),
    asIs,
    referenceRoomBroadcast,
  ),
];
const ROOM_MESSAGE = [
  format(decodeRoomMessage, encodeRoomMessage, describeRoomMessage, referenceRoomMessage),
  format(
    (bytes) => viewed(bytes, 0xe2),
    ({ rooms, except, message }) => {
      const utf8 = typeof message === "string";
      const encoded = utf8 ? new TextEncoder().encode(message) : message;
      return encodeRoomMessage({ rooms, except, message: encoded }, { utf8 });
    },
    describeRoomMessage,
    referenceRoomMessage,
  ),
];
const ROOM_CLOSE = format(
  decodeRoomClose,
  ({ room, code, reason }) => encodeRoomClose(room, code, reason),
  asIs,
  referenceRoomClose,
);
const ROOM_INTEREST = format(decodeRoomInterest, encodeRoomInterest, asIs, referenceRoomInterest);
const MISSED = format(decodeMissed, encodeMissed, asIs, referenceMissed);
const PEER_LIST = format(decodePeerList, encodePeerList, asIs, referencePeerList);
const HANDSHAKE = [
  format(decodeName, encodeName, describeName, (bytes) => referenceName(bytes, 1)),
  format(decodeChallenge, encodeChallenge, describeName, (bytes) => referenceName(bytes, 2)),
  format(
    decodeReply,
    encodeReply,
    ({ proof, challenge }) => [hex(proof), hex(challenge)],
    (bytes) => referenceFixed(bytes, 3, [32, 32]),
  ),
  format(
    decodeAck,
    encodeAck,
    ({ proof }) => [hex(proof)],
    (bytes) => referenceFixed(bytes, 4, [32]),
  ),
];
const HEARTBEAT = [
  format(decodePing, encodePing, (token) => [hex(token)], (b) => referenceFixed(b, 0xf0, [8])),
  format(decodePong, encodePong, (token) => [hex(token)], (b) => referenceFixed(b, 0xf1, [8])),
  format(checkGoodbye, encodeGoodbye, () => [], (b) => referenceFixed(b, 0xe0, [])),
];

/** What stands around an input: lengths and texts that end too late find something to read here. */
const AROUND_BYTES = 80;
const AROUND = 0x61;

function runFormat({ decode, reference }: Format, input: Uint8Array): string {
  const expected = orFault(() => reference(input));
  const memory = Buffer.alloc(2 * AROUND_BYTES + input.length, AROUND);
  memory.set(input, AROUND_BYTES);
  // A stream of `node:` modules hands out Buffers, whose slice() is a view.
  const view = input.length % 2 === 0
    ? memory.subarray(AROUND_BYTES, AROUND_BYTES + input.length)
    : new Uint8Array(memory.buffer, memory.byteOffset + AROUND_BYTES, input.length);
  let decoded: ReturnType<Format["decode"]>;
  try {
    decoded = decode(view);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    const { code, offset } = error;
    checkSame(new Fault(code, offset), expected, "refused");
    return `${code} at ${magnitude(offset)}`;
  }
  checkSame(view.every((byte, i) => byte === input[i]), true, "the input is left as it is");
  view.fill(0xa5);
  checkSame(decoded.describe(), expected, "decoded");
  const encoded = decoded.encode();
  check(encoded.toHex() === input.toHex(), () => `encodes to ${encoded.toHex()}`);
  return `valid, ${magnitude(input.length)}`;
}

function target(
  name: string,
  formats: readonly Format[],
  examples: readonly Uint8Array[],
): Target {
  return {
    name,
    examples,
    testSeeds: 8_000,
    run: (input) => {
      const outcomes = formats.map((format, i) => `${i}: ${runFormat(format, input)}`);
      return outcomes.find((outcome) => !outcome.includes("wrong-tag")) ?? outcomes[0];
    },
  };
}

/** First and last code points of each UTF-8 length, and those that decoders like to swallow. */
const EDGES = "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\ufeff\ufffd\uffff\u{10000}\u{10ffff}";
/** The codec changes its method at 48 bytes. */
const LONG = 50;

const NAMES = ["chat-1@10.0.0.5:9000", "a@[2001:db8::1]:1", EDGES, ""];
const EXTENSION = { incarnation: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), features: 0xffff_ffff };
const BYTES_32 = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
const TOKEN = BYTES_32.subarray(0, 8);

export const MESSAGE_TARGETS: readonly Target[] = [
  target("room_broadcast", ROOM_BROADCAST, [
    encodeRoomBroadcast("", ""),
    encodeRoomBroadcast("lobby", "hello"),
    encodeRoomBroadcast(EDGES, "a".repeat(47) + EDGES),
    encodeRoomBroadcast("é".repeat(LONG), EDGES),
    encodeRoomBroadcast("r".repeat(LONG), "m".repeat(300)),
    encodeRoomBroadcast("r".repeat(300), "m"),
  ]),
  target("room_message", ROOM_MESSAGE, [
    encodeRoomMessage({ rooms: [""], except: [], message: "" }),
    encodeRoomMessage({ rooms: ["lobby"], except: ["user:ann"], message: "hello" }),
    encodeRoomMessage({ rooms: ["lobby"], except: [], message: Uint8Array.of(0, 0xff, 0x80) }),
    encodeRoomMessage({ rooms: [EDGES, "é".repeat(LONG)], except: ["", EDGES], message: EDGES }),
    encodeRoomMessage({
      rooms: new Array(258).fill("r"),
      except: new Array(64).fill("x"),
      message: "m".repeat(300),
    }),
  ]),
  target("room_close", [ROOM_CLOSE], [
    encodeRoomClose("", 1000, ""),
    encodeRoomClose("user:ann", 4001, "signed out"),
    encodeRoomClose(EDGES, 1014, EDGES),
    encodeRoomClose("é".repeat(LONG), 3000, "x".repeat(123)),
    // Codes beside those that are possible.
    ...["e70300", "ee0300", "f70300", "b70b00", "881300"].map((rest) =>
      Uint8Array.fromHex(`e5010061${rest}`)
    ),
    // One byte more than a reason may have.
    Uint8Array.fromHex(`e5010061e8037c${"78".repeat(124)}`),
  ]),
  target("room_interest", [ROOM_INTEREST], [
    encodeRoomInterest({ op: "everything", rooms: [] }),
    encodeRoomInterest({ op: "only", rooms: [] }),
    encodeRoomInterest({ op: "only", rooms: ["lobby", "", "hall"] }),
    encodeRoomInterest({ op: "add", rooms: [EDGES, "é".repeat(LONG), "n".repeat(260)] }),
    encodeRoomInterest({ op: "remove", rooms: new Array(20).fill("room") }),
  ]),
  target("missed", [MISSED], [encodeMissed(0), encodeMissed(258), encodeMissed(0xffff_ffff)]),
  target("peer_list", [PEER_LIST], [
    encodePeerList([]),
    encodePeerList(NAMES),
    encodePeerList(["n".repeat(260), "é".repeat(LONG)]),
    encodePeerList(new Array(258).fill("a@b:1")),
  ]),
  target("handshake_message", HANDSHAKE, [
    ...NAMES.map((name) => encodeName({ name, creation: 1 })),
    ...NAMES.map((name) => encodeName({ name, creation: 255, extension: EXTENSION })),
    encodeChallenge({ name: NAMES[0], creation: 1, challenge: BYTES_32 }),
    encodeChallenge({ name: NAMES[2], creation: 0, challenge: BYTES_32, extension: EXTENSION }),
    encodeReply({ proof: BYTES_32, challenge: BYTES_32 }),
    encodeAck({ proof: BYTES_32 }),
  ]),
  target("heartbeat", HEARTBEAT, [encodePing(TOKEN), encodePong(TOKEN), encodeGoodbye()]),
];
