/**
 * A stream of frames in chunks. Byte 0 is the limit, byte 1 how the stream is cut; the rest is the
 * stream. What comes out must be what the reference finds in the whole stream, whatever the cuts; and
 * whoever reads into one buffer again and again must not notice.
 */

import { concat } from "@std/bytes";
import { encodeFrame, FrameDecoder, FrameError } from "../../codec/mod.ts";
import { referenceFrames } from "./_reference.ts";
import { check, checkSame, magnitude, type Target } from "./_target.ts";

const SETTINGS_BYTES = 2;
const MAX_CHUNK_BYTES = 64;

function chunkSize(cut: number, chunk: number): number {
  // Of one size, or of two that take turns; 0 is a chunk as well.
  if (cut === 0) return Infinity;
  return chunk % 2 === 0 ? cut % MAX_CHUNK_BYTES : cut % 7 + 1;
}

function run(input: Uint8Array): string {
  const [limit = 0, cut = 0] = input;
  const maxLength = 1 + 16 * limit;
  const stream = input.subarray(SETTINGS_BYTES);
  const expected = referenceFrames(stream, maxLength);
  const decoder = new FrameDecoder({ maxLength });
  const payloads: string[] = [];
  let fault: FrameError | undefined;
  let pushed = 0;
  try {
    for (let chunks = 0; pushed < stream.length; chunks++) {
      const chunk = stream.slice(pushed, pushed + chunkSize(cut, chunks));
      pushed += chunk.length;
      for (const payload of decoder.push(chunk)) {
        payloads.push(payload.toHex());
        // What does not lie in the chunk was held, and must be no more than it had to be.
        const { byteLength } = payload.buffer;
        check(
          payload.buffer === chunk.buffer || byteLength <= maxLength,
          () => `${byteLength} bytes are held, the limit is ${maxLength}`,
        );
      }
      chunk.fill(0xa5);
    }
    checkSame(decoder.inFrame, !expected.isWhole, "inFrame");
    decoder.finish();
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    fault = error;
  }
  checkSame(payloads, expected.payloads.map((payload) => payload.toHex()), "payloads");
  const truncated = { code: "truncated", offset: stream.length };
  const expectedFault = expected.fault ?? (expected.isWhole ? undefined : truncated);
  checkSame(fault && { code: fault.code, offset: fault.offset }, expectedFault, "fault");
  if (fault?.code === "frame-too-long") {
    // Nobody needs more than the length to know.
    const noticedIn = fault.offset + 4 + MAX_CHUNK_BYTES;
    check(cut === 0 || pushed <= noticedIn, () => `noticed only after ${pushed} bytes`);
    checkSame(errorOf(() => decoder.push(Uint8Array.of(0))), fault.code, "a second try");
  }
  return `${fault?.code ?? "whole"} after ${magnitude(payloads.length)}, ${cut === 0 ? "" : "cut"}`;
}

function errorOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    return error instanceof FrameError ? error.code : String(error);
  }
  return undefined;
}

const frame = (size: number) => encodeFrame(new Uint8Array(size).fill(size));
const stream = (limit: number, cut: number, ...sizes: number[]) =>
  concat([Uint8Array.of(limit, cut), ...sizes.map(frame)]);

export const FRAMES: Target = {
  name: "frames",
  framesFrom: SETTINGS_BYTES,
  testSeeds: 6_000,
  examples: [
    stream(255, 0, 1, 0, 5, 300, 0, 0, 17),
    stream(255, 1, 1, 0, 5, 30),
    stream(1, 3, 16, 17, 1),
    stream(1, 66, 17, 0, 16, 17),
    stream(32, 129, 500, 513, 1, 2, 3),
    stream(0, 5, 1, 1, 0, 1),
  ],
  run,
};
