/**
 * What the codec costs, beside what people would use instead: `deno bench -A bench/codec_bench.ts`.
 * For ratios that can be trusted on a busy machine see `codec_ratios.ts`.
 */

import { isUtf8 } from "node:buffer";
import { readText, writeText } from "../codec/_text.ts";
import {
  BroadcastView,
  encodeRoomBroadcast,
  encodeRoomBroadcastInto,
  encodeRoomMessageInto,
  RoomNames,
} from "../codec/mod.ts";
import { contenders, ROOMS, type Run, scripts, textsOf } from "./codec_contenders.ts";

const encoder = new TextEncoder();
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** Keeps results from being optimised away. */
export let sink: unknown;

for (const script of scripts) {
  for (const size of [16, 64, 256, 512, 1024, 16 * 1024, 256 * 1024]) {
    const texts = textsOf(script, size);
    for (const [index, { name, encode }] of contenders.entries()) {
      // Both ways to read with protobufjs write in the same way.
      if (name === "protobufjs, Buffer") continue;
      bench(`encode ${script.name}, ${size} B`, name, encode(texts), index === 0);
    }
    for (const [index, { name, decode }] of contenders.entries()) {
      bench(`decode ${script.name}, ${size} B`, name, decode(texts), index === 0);
    }
  }
}

// What the threshold of codec/_text.ts buys.
for (const script of scripts) {
  for (const size of [8, 16, 24, 32, 64, 96, 128, 192, 256, 384]) {
    const [{ message }] = textsOf(script, size);
    const bytes = encoder.encode(message);
    const target = new Uint8Array(3 * size);
    const write = `text of ${size} B ${script.name}, encoded`;
    bench(write, "codec", () => writeText(message, target, 1), true);
    bench(write, "TextEncoder", () => encoder.encodeInto(message, target.subarray(1)));

    const read = `text of ${size} B ${script.name}, decoded`;
    bench(read, "codec", () => readText(bytes, 0, size), true);
    bench(read, "TextDecoder", () => lenient.decode(bytes.subarray(0, size)));
    bench(read, "TextDecoder, fatal", () => strict.decode(bytes.subarray(0, size)));
  }
}

// What a receiver saves that makes no string of a text, and a sender that has its UTF-8 already.
for (const script of scripts) {
  for (const size of [16, 64, 256, 1024, 16 * 1024]) {
    const [{ room, message }] = textsOf(script, size);
    const bytes = encodeRoomBroadcast(room, message);
    const utf8 = encoder.encode(message);
    const target = new Uint8Array(3 * size + 100);

    const read = `message of ${size} B ${script.name}, received`;
    bench(read, "decoded", () => new BroadcastView(bytes).message(), true);
    bench(read, "checked", () => new BroadcastView(bytes).checkText());
    bench(read, "checked by node:buffer", () => new BroadcastView(bytes).checkText(isUtf8));

    const write = `message of ${size} B ${script.name}, sent`;
    const [rooms, except] = [[room], ["user:ann"]];
    bench(write, "broadcast", () => encodeRoomBroadcastInto(room, message, target), true);
    bench(write, "broadcast, UTF-8", () => encodeRoomBroadcastInto(room, utf8, target));
    bench(write, "message", () => encodeRoomMessageInto({ rooms, except, message }, target));
    bench(
      write,
      "message, bytes",
      () => encodeRoomMessageInto({ rooms, except, message: utf8 }, target),
    );
  }
}

// What remembering names saves, and costs when there are more than it remembers.
for (const count of [1, 200, 5_000]) {
  const rooms = Array.from({ length: count }, (_, i) => `room ${i}`);
  const members = new Map(rooms.map((room) => [room, {}]));
  const encoded = rooms.map((room) => encodeRoomBroadcast(room, ""));
  const names = new RoomNames();
  let turn = 0;
  const next = () => new BroadcastView(encoded[turn = (turn + 1) % count]);
  const group = `room looked up, ${count} in turn`;
  bench(group, "decoded", () => members.get(next().rooms()[0]), true);
  bench(group, "remembered", () => members.get(next().rooms(names)[0]));
}

function bench(group: string, name: string, run: Run, baseline = false): void {
  let turn = 0;
  Deno.bench({
    name,
    group,
    baseline,
    fn: () => {
      turn = (turn + 1) % ROOMS;
      sink = run(turn);
    },
  });
}
