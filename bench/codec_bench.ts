/**
 * What the codec costs, beside what people would use instead: `deno bench -A bench/codec_bench.ts`.
 * For ratios that can be trusted on a busy machine see `codec_ratios.ts`.
 */

import { readText, writeText } from "../codec/_text.ts";
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
