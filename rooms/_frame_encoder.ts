import { encodeWebSocketFrame, webSocketHeaderBytes, writeWebSocketHeader } from "../codec/mod.ts";
import { Slab } from "./_slab.ts";

/** A stalled socket may keep a slab alive for a single frame, so slabs are small. */
const SLAB_BYTES = 16 * 1024;

/** Makes the WebSocket frames of broadcasts. Short ones lie one after the other in memory. */
export class FrameEncoder {
  readonly #slab = new Slab(SLAB_BYTES);

  encode(opcode: number, payload: Uint8Array): Uint8Array {
    const bytes = webSocketHeaderBytes(payload.length) + payload.length;
    if (bytes > this.#slab.maxBytes) return encodeWebSocketFrame(opcode, payload);
    const at = this.#slab.reserve(bytes);
    const { memory } = this.#slab;
    memory.set(payload, writeWebSocketHeader(memory, at, opcode, payload.length));
    return this.#slab.take(bytes);
  }
}
