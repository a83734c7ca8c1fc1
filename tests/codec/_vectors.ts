import type { FrameErrorCode } from "../../codec/mod.ts";

/** Bytes that must be refused. */
export interface InvalidVector {
  readonly name?: string;
  readonly hex: string;
  readonly code: FrameErrorCode;
}

/** Reads a file of `tests/testdata/`. */
export async function readVectors<T>(file: string): Promise<T> {
  return JSON.parse(await Deno.readTextFile(new URL(`../testdata/${file}`, import.meta.url)));
}
