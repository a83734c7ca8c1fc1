/**
 * Ways to carry a room and a message as bytes, each set up as its authors recommend for speed, and
 * the texts to carry. Who can encode into memory that is used again does so.
 *
 * msgpackr runs if `npm:` finds it, or if npm has put it beside this file (its optional native
 * parts are not used):
 *
 * ```sh
 * npm install --prefix bench --no-save --no-package-lock --omit=optional msgpackr@2.1.3
 * ```
 *
 * @module
 */

import { create, createFileRegistry, fromBinary, toBinary } from "npm:@bufbuild/protobuf@2.17.0";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from "npm:@bufbuild/protobuf@2.17.0/wkt";
import { Decoder, Encoder } from "npm:@msgpack/msgpack@3.1.3";
import protobufjs from "npm:protobufjs@8.8.1";
import { Buffer } from "node:buffer";
import { decodeRoomBroadcast, encodeRoomBroadcast, encodeRoomBroadcastInto } from "../codec/mod.ts";

/** What is carried. */
export interface Texts {
  readonly room: string;
  readonly message: string;
}

/** Encodes or decodes one of the prepared texts. */
export type Run = (index: number) => unknown;

/** One way to carry texts. */
export interface Contender {
  readonly name: string;
  /** The bare calls of the platform carry nothing but the texts: no tag, no lengths. */
  readonly bare?: true;
  readonly encode: (texts: readonly Texts[]) => Run;
  readonly decode: (texts: readonly Texts[]) => Run;
}

/** How many rooms take turns. */
export const ROOMS = 8;

/** A text of any size in bytes. */
export interface Script {
  readonly name: string;
  readonly room: string;
  readonly sample: string;
}

/** The kinds of text measured. */
export const scripts: readonly Script[] = [
  { name: "ASCII", room: "lobby-4", sample: "The quick brown fox jumps over the lazy dog. " },
  { name: "mixed", room: "部屋-4", sample: "Grüße aus der Straße, 部屋へようこそ 🎉 hello! " },
];

/** A message of `bytes` bytes, to each of some rooms. */
export function textsOf({ room, sample }: Script, bytes: number): Texts[] {
  const characters = [...sample];
  let message = "";
  let left = bytes;
  for (let i = 0; left > 0; i++) {
    const character = characters[i % characters.length];
    const size = encoder.encode(character).length;
    // What does not fit is made up for with ASCII.
    message += size <= left ? character : "x".repeat(left);
    left -= Math.min(size, left);
  }
  return Array.from({ length: ROOMS }, (_, i) => ({
    room: flat(room + i),
    message: flat(message),
  }));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const target = new Uint8Array(1024 * 1024);

const roomcast: Contender = {
  name: "roomcast",
  encode: (texts) => (index) => {
    const { room, message } = texts[index];
    return encodeRoomBroadcastInto(room, message, target);
  },
  decode: (texts) => {
    const encoded = texts.map(({ room, message }) => encodeRoomBroadcast(room, message));
    return (index) => decodeRoomBroadcast(encoded[index]);
  },
};

const platform: Contender = {
  name: "platform",
  bare: true,
  encode: (texts) => {
    const roomTarget = target.subarray(3);
    const messageTarget = target.subarray(100);
    return (index) => {
      const { room, message } = texts[index];
      return encoder.encodeInto(room, roomTarget).written +
        encoder.encodeInto(message, messageTarget).written;
    };
  },
  decode: (texts) => {
    const rooms = texts.map(({ room }) => encoder.encode(room));
    const messages = texts.map(({ message }) => encoder.encode(message));
    return (index) => ({
      room: decoder.decode(rooms[index]),
      message: decoder.decode(messages[index]),
    });
  },
};

const RoomBroadcast = new protobufjs.Type("RoomBroadcast")
  .add(new protobufjs.Field("room", 1, "string"))
  .add(new protobufjs.Field("message", 2, "string"));
new protobufjs.Root().define("bench").add(RoomBroadcast);
const protobufjsWriter = protobufjs.Writer.create();

const protobufjsArray: Contender = {
  name: "protobufjs",
  encode: (texts) => (index) =>
    RoomBroadcast.encode(texts[index], protobufjsWriter.reset()).finish(true),
  decode: (texts) => {
    const encoded = texts.map((text) => new Uint8Array(RoomBroadcast.encode(text).finish()));
    return (index) => RoomBroadcast.decode(encoded[index]);
  },
};

/** The same, for bytes that have come as Node's `Buffer`, which it reads in another way. */
const protobufjsBuffer: Contender = {
  name: "protobufjs, Buffer",
  encode: protobufjsArray.encode,
  decode: (texts) => {
    const encoded = texts.map((text) => Buffer.from(RoomBroadcast.encode(text).finish()));
    return (index) => RoomBroadcast.decode(encoded[index]);
  },
};

const schema = createFileRegistry(
  create(FileDescriptorProtoSchema, {
    name: "bench.proto",
    package: "bench",
    syntax: "proto3",
    messageType: [{
      name: "RoomBroadcast",
      field: ["room", "message"].map((name, i) => ({
        name,
        jsonName: name,
        number: i + 1,
        label: FieldDescriptorProto_Label.OPTIONAL,
        type: FieldDescriptorProto_Type.STRING,
      })),
    }],
  }),
  () => undefined,
).getMessage("bench.RoomBroadcast");
if (schema === undefined) throw new Error("the schema has no RoomBroadcast");

const protobufEs: Contender = {
  name: "protobuf-es",
  encode: (texts) => (index) =>
    toBinary(schema, create(schema, { ...texts[index] }), { writeUnknownFields: false }),
  decode: (texts) => {
    const encoded = texts.map((text) => toBinary(schema, create(schema, { ...text })));
    return (index) => fromBinary(schema, encoded[index], { readUnknownFields: false });
  },
};

const msgpackEncoder = new Encoder();
const msgpackDecoder = new Decoder();

const msgpack: Contender = {
  name: "@msgpack/msgpack",
  encode: (texts) => (index) => msgpackEncoder.encodeSharedRef(texts[index]),
  decode: (texts) => {
    const encoded = texts.map((text) => msgpackEncoder.encode(text));
    return (index) => msgpackDecoder.decode(encoded[index]);
  },
};

const json: Contender = {
  name: "JSON",
  encode: (texts) => (index) => encoder.encodeInto(JSON.stringify(texts[index]), target).written,
  decode: (texts) => {
    const encoded = texts.map((text) => encoder.encode(JSON.stringify(text)));
    return (index) => JSON.parse(decoder.decode(encoded[index]));
  },
};

const msgpackr = await loadMsgpackr();

/** Everybody, roomcast first. */
export const contenders: readonly Contender[] = [
  roomcast,
  platform,
  protobufjsArray,
  protobufjsBuffer,
  protobufEs,
  ...msgpackr ? [msgpackr] : [],
  msgpack,
  json,
];

/** The part of msgpackr that is used here. */
interface Msgpackr {
  Packr: new (options: { structures: unknown[] }) => {
    useBuffer(buffer: Uint8Array): void;
    pack(value: unknown, options?: number): Uint8Array;
    unpack(bytes: Uint8Array): unknown;
  };
  REUSE_BUFFER_MODE: number;
}

/** With records, its fastest form: the names of the fields do not travel. */
async function loadMsgpackr(): Promise<Contender | undefined> {
  // The native part crashes under Deno.
  Deno.env.set("MSGPACKR_NATIVE_ACCELERATION_DISABLED", "true");
  for (const from of ["npm:msgpackr@2.1.3", "./node_modules/msgpackr/index.js"]) {
    let module: Msgpackr;
    try {
      module = await import(from);
    } catch {
      continue;
    }
    const packr = new module.Packr({ structures: [] });
    const buffer = Buffer.alloc(target.length);
    return {
      name: "msgpackr",
      encode: (texts) => (index) => {
        packr.useBuffer(buffer);
        return packr.pack(texts[index], module.REUSE_BUFFER_MODE);
      },
      decode: (texts) => {
        const encoded = texts.map((text) => new Uint8Array(packr.pack(text)));
        return (index) => packr.unpack(encoded[index]);
      },
    };
  }
  console.warn("Skipping msgpackr: it is not installed; see bench/codec_contenders.ts");
  return undefined;
}

/** As a string arrives from a socket: in one piece, not as a chain of parts. */
function flat(text: string): string {
  return decoder.decode(encoder.encode(text));
}
