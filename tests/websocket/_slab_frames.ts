import { OPCODE } from "../../codec/mod.ts";
import { FrameEncoder } from "../../rooms/_frame_encoder.ts";

/** Frames that lie one after the other in a slab of 16 KiB, as rooms make them. */
export function framesInSlab(...texts: string[]): Uint8Array[] {
  const frames = new FrameEncoder();
  return texts.map((text) => frames.encode(OPCODE.TEXT, new TextEncoder().encode(text)));
}
