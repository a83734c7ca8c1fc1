/** Whether the generator could be what limits a contender: it counts what a blaster writes. */

import { FrameCounter } from "./frame_counter.ts";
import { closeSocket, connectTo, receive, sleepFor } from "./libc.ts";
import type { Absorbed, AbsorbOrder } from "./orders.ts";

const BUFFER_BYTES = 256 * 1024;
const WARM_UP_MS = 300;

/** Counts the frames that arrive within so many milliseconds, looking so often. */
export function absorb({ hostname, port, clients, sweepMs, ms }: AbsorbOrder): Absorbed {
  const buffer = new Uint8Array(BUFFER_BYTES);
  const all = Array.from({ length: clients }, () => ({
    socket: connectTo(hostname, port),
    frames: new FrameCounter(),
  }));
  const count = (forMs: number) => {
    const start = performance.now();
    let messages = 0;
    while (performance.now() - start < forMs) {
      sleepFor(sweepMs);
      for (const { socket, frames } of all) {
        const length = receive(socket, buffer);
        if (length > 0) messages += frames.push(buffer, length);
      }
    }
    return { messages, ms: performance.now() - start };
  };
  count(WARM_UP_MS);
  const result = count(ms);
  for (const { socket } of all) closeSocket(socket);
  return result;
}
