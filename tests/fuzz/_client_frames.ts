/**
 * A WebSocket client that says anything. Byte 0 of an input is the limit of a message, byte 1 how the
 * stream is cut into chunks, byte 2 whether compression was agreed on; the rest is the stream. A second
 * reading of the format, which has the whole stream before it, says what must come of it.
 */

import { concat } from "@std/bytes";
import { Buffer } from "node:buffer";
import { FrameReader, type FrameSink } from "../../websocket/_frame_reader.ts";
import { Violation as Broken } from "../../websocket/_violation.ts";
import { accept, turn } from "../websocket/_fake_stream.ts";
import { clientFrame, closePayload, type FrameForm } from "../websocket/_raw_client.ts";
import { check, checkSame, magnitude, type Target } from "./_target.ts";

const SETTINGS_BYTES = 3;
const MAX_CHUNK_BYTES = 64;
const MAX_CONTROL_BYTES = 125;

const CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

interface Settings {
  readonly maxMessageBytes: number;
  readonly compression: boolean;
  readonly chunks: readonly Uint8Array[];
  readonly stream: Uint8Array;
}

function settingsOf(input: Uint8Array): Settings {
  const [limit = 0, cut = 0, flags = 0] = input;
  const stream = input.slice(SETTINGS_BYTES);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.length;) {
    const size = cut === 0
      ? stream.length
      : chunks.length % 2 === 0
      ? 1 + cut % MAX_CHUNK_BYTES
      : 1 + cut % 7;
    chunks.push(stream.slice(at, at + size));
    at += size;
  }
  return { maxMessageBytes: 1 + 4 * limit, compression: flags % 2 === 1, chunks, stream };
}

/** What comes of a stream: `"text …"`, `"binary …"` and so on in order, and the code that it ends with. */
interface Expected {
  readonly events: string[];
  readonly code: number | undefined;
}

/** The plain reading: frame by frame, from the whole stream. */
function reference({ stream, maxMessageBytes, compression }: Settings): Expected {
  const events: string[] = [];
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  let message: { opcode: number; compressed: boolean; bytes: number[] } | undefined;
  let at = 0;
  const end = (code: number | undefined): Expected => ({ events, code });
  while (at + 2 <= stream.length) {
    const fin = stream[at] >= 0x80;
    const rsv = stream[at] >> 4 & 7;
    const opcode = stream[at] & 15;
    const masked = stream[at + 1] >= 0x80;
    let length = BigInt(stream[at + 1] & 0x7f);
    let header = 2;
    if (length === 126n) {
      if (at + 4 > stream.length) return end(undefined);
      length = BigInt(view.getUint16(at + 2));
      header = 4;
      if (length < 126n) return end(1002);
    } else if (length === 127n) {
      if (at + 10 > stream.length) return end(undefined);
      length = view.getBigUint64(at + 2);
      header = 10;
      if (length >= 1n << 63n || length <= 0xffffn) return end(1002);
    }
    if (masked) {
      header += 4;
      if (at + header > stream.length) return end(undefined);
    }
    const isControl = opcode >= 8;
    if (!masked || ![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) {
      return end(1002);
    }
    if (rsv !== 0 && !(rsv === 4 && compression && (opcode === TEXT || opcode === BINARY))) {
      return end(1002);
    }
    if (isControl && (!fin || length > BigInt(MAX_CONTROL_BYTES))) return end(1002);
    if (!isControl && (opcode === CONTINUATION) !== (message !== undefined)) return end(1002);
    if (!isControl && length + BigInt(message?.bytes.length ?? 0) > BigInt(maxMessageBytes)) {
      return end(1009);
    }
    const size = Number(length);
    const key = stream.subarray(at + header - 4, at + header);
    const payload = [...stream.subarray(at + header, at + header + size)].map((byte, i) =>
      byte ^ key[i % 4]
    );
    const isWhole = payload.length === size;
    at += header + size;
    if (isControl) {
      if (!isWhole) return end(undefined);
      if (opcode === PING) events.push(`ping ${hex(payload)}`);
      if (opcode === PONG) events.push("pong");
      if (opcode !== CLOSE) continue;
      events.push(`close ${hex(payload)}`);
      return end(undefined);
    }
    message ??= { opcode, compressed: rsv === 4, bytes: [] };
    message.bytes.push(...payload);
    if (message.opcode === TEXT && !message.compressed) {
      const isLast = isWhole && fin;
      if (textOf(message.bytes, !isLast) === undefined) return end(1007);
    }
    if (!isWhole) return end(undefined);
    if (!fin) continue;
    if (message.compressed) events.push(`compressed ${message.opcode} ${hex(message.bytes)}`);
    else if (message.opcode === TEXT) events.push(`text ${textOf(message.bytes, false)}`);
    else events.push(`binary ${hex(message.bytes)}`);
    message = undefined;
  }
  return end(undefined);
}

/** The text in these bytes, which may go on if `stream`; undefined if it is not valid. */
function textOf(bytes: number[], stream: boolean): string | undefined {
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return decoder.decode(Uint8Array.from(bytes), { stream });
  } catch {
    return undefined;
  }
}

const hex = (bytes: ArrayLike<number>) => Uint8Array.from(bytes).toHex();

function read(input: Uint8Array): string {
  const settings = settingsOf(input);
  const { maxMessageBytes, compression, chunks } = settings;
  const expected = reference(settings);
  const events: string[] = [];
  const sink: FrameSink = {
    text: (text) => void events.push(`text ${text}`),
    binary: (bytes) => void events.push(`binary ${hex(bytes)}`),
    compressed: (opcode, bytes) => void events.push(`compressed ${opcode} ${hex(bytes)}`),
    ping: (payload) => void events.push(`ping ${hex(payload)}`),
    pong: () => void events.push("pong"),
    closed: (payload) => void events.push(`close ${hex(payload)}`),
  };
  const reader = new FrameReader({ maxMessageBytes, kind: compression ? 15 : 0 });
  let code: number | undefined;
  try {
    for (const chunk of chunks) {
      reader.push(chunk, sink);
      check(
        reader.heldBytes <= maxMessageBytes + MAX_CONTROL_BYTES,
        () => `${reader.heldBytes} bytes are held, the limit is ${maxMessageBytes}`,
      );
      // Nothing that was handed out or kept may be part of it.
      chunk.fill(0xa5);
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    code = error.code;
    check(reader.ended, "the reader goes on after an error");
  }
  checkSame(events, expected.events, "events");
  checkSame(code, expected.code, "code");
  const kinds = new Set(events.map((event) => event.split(" ", 1)[0]));
  return `${code ?? "no error"} after ${magnitude(events.length)}, ${[...kinds].sort().join(", ")}`;
}

/** Whole sockets: what is sent back must follow from what was understood, frame by frame. */
async function answer(input: Uint8Array): Promise<string> {
  const settings = settingsOf(input);
  const { maxMessageBytes, chunks } = settings;
  const { events, code } = reference({ ...settings, compression: false });
  const { socket, stream } = accept({ maxMessageBytes });
  socket.onmessage = ({ data }) => socket.send(data);
  let closed: { code: number; wasClean: boolean } | undefined;
  socket.onclose = ({ code, wasClean }) => closed = { code, wasClean };
  await Promise.resolve();
  for (const chunk of chunks) {
    stream.receive(chunk);
    if (chunk.length % 3 === 0) await turn();
  }
  await turn();
  const last = events.at(-1);
  let closeCode = code;
  const answers = events.flatMap((event) => {
    const [kind, value] = [event.slice(0, event.indexOf(" ")), event.slice(event.indexOf(" ") + 1)];
    if (kind === "text") return [serverFrame(TEXT, Buffer.from(value))];
    if (kind === "binary") return [serverFrame(BINARY, Buffer.from(value, "hex"))];
    if (kind === "ping") return [serverFrame(PONG, Buffer.from(value, "hex"))];
    return [];
  });
  if (last?.startsWith("close ")) {
    const payload = Buffer.from(last.slice("close ".length), "hex");
    closeCode = judgeClose(payload);
    if (closeCode === undefined) answers.push(serverFrame(CLOSE, payload));
  }
  const sent = Buffer.concat(answers);
  checkSame(hex(stream.written.subarray(0, sent.length)), hex(sent), "answers");
  const rest = stream.written.subarray(sent.length);
  const ends = closeCode !== undefined || last?.startsWith("close ") === true;
  checkSame(stream.ended, ends, "ended");
  checkSame(socket.readyState, ends ? 2 : 1, "readyState");
  if (closeCode === undefined) checkSame(rest.length, 0, "bytes more than answers");
  else {
    checkSame(
      [rest[0], rest[1], rest.readUInt16BE(2)],
      [0x88, rest.length - 2, closeCode],
      "close frame",
    );
  }
  socket.terminate();
  await turn();
  check(closed !== undefined, "it has not closed");
  if (closeCode !== undefined) {
    checkSame(closed, { code: closeCode, wasClean: false }, "close event");
  }
  return `${closeCode ?? (ends ? "closed" : "open")} after ${magnitude(events.length)}`;
}

/** The code that a close frame is answered with if it is not valid. */
function judgeClose(payload: Buffer): number | undefined {
  if (payload.length === 0) return undefined;
  if (payload.length === 1) return 1002;
  const code = payload.readUInt16BE(0);
  const isKnown = code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code);
  if (!isKnown && (code < 3000 || code > 4999)) return 1002;
  return textOf([...payload.subarray(2)], false) === undefined ? 1007 : undefined;
}

function serverFrame(opcode: number, payload: Buffer): Buffer {
  return clientFrame(opcode, payload, { mask: false });
}

type Said = [opcode: number, data?: string | Uint8Array, form?: FrameForm];

const stream = (limit: number, cut: number, flags: number, ...frames: Said[]) =>
  concat([
    Uint8Array.of(limit, cut, flags),
    ...frames.map((frame) => new Uint8Array(clientFrame(...frame))),
  ]);

const EXAMPLES = [
  stream(255, 0, 0, [TEXT, "hello"], [BINARY, "x".repeat(200)], [PING, "p"], [PONG]),
  stream(255, 3, 0, [TEXT, "κόσμε 🎉"], [CLOSE, closePayload(1000, "bye")], [TEXT, "late"]),
  stream(255, 1, 0, [TEXT, "a€", { fin: false }], [PING], [CONTINUATION, "𝄞", { fin: false }], [
    CONTINUATION,
  ]),
  stream(255, 66, 0, [BINARY, "y".repeat(70), { fin: false }], [CONTINUATION, "z".repeat(130)], [
    CLOSE,
  ]),
  stream(10, 5, 0, [BINARY, "y".repeat(41)], [BINARY, "y".repeat(42)]),
  stream(10, 0, 0, [BINARY, "y".repeat(30), { fin: false }], [CONTINUATION, "z".repeat(12)]),
  stream(200, 9, 1, [TEXT, "not deflated", { rsv: 4 }], [TEXT, "plain"], [PING, "x".repeat(125)]),
  stream(200, 0, 1, [BINARY, "ab", { rsv: 4, fin: false }], [CONTINUATION, "c", { rsv: 4 }]),
  stream(255, 0, 0, [TEXT, Uint8Array.of(0x61, 0xed, 0xa0, 0x80)]),
  stream(255, 2, 0, [TEXT, Uint8Array.of(0xf0, 0x9f), { fin: false }], [
    CONTINUATION,
    Uint8Array.of(0x41),
  ]),
  stream(255, 0, 0, [TEXT, Uint8Array.of(0xf4, 0x90), { fin: false }], [
    CONTINUATION,
    Uint8Array.of(0x80, 0x80),
  ]),
  stream(255, 0, 0, [BINARY, "x".repeat(100), { length: 70_000 }]),
  stream(255, 0, 0, [BINARY, "", { length: 0xffff, lengthBits: 64 }]),
  stream(255, 0, 0, [CLOSE, closePayload(1005)]),
  stream(255, 0, 0, [CLOSE, "x"]),
  stream(255, 0, 0, [PING, "x".repeat(125)], [PING, "x".repeat(126)]),
];

export const CLIENT_FRAME_TARGETS: readonly Target[] = [
  { name: "client_frames", testSeeds: 4_000, examples: EXAMPLES, run: read },
  { name: "websocket", testSeeds: 150, examples: EXAMPLES, run: answer },
];
