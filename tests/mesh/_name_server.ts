/** A name server on the loopback address: as much of RFC 1035 as a look-up takes. */

import { createSocket } from "node:dgram";
import { once } from "node:events";

const RECORD_TYPES: Record<number, "A" | "AAAA"> = { 1: "A", 28: "AAAA" };
const HEADER_BYTES = 12;
const NO_ERROR = 0;
const SERVER_FAILURE = 2;
const NO_SUCH_NAME = 3;

/** What is known of the one host: its addresses, as bytes, by kind; or that nothing can be said. */
export type Records = Partial<Record<"A" | "AAAA", number[][]>> | "failure" | "no such name";

/** Answers every question from `records`, as they are then. */
export async function startNameServer(
  records: () => Records,
): Promise<AsyncDisposable & { port: number }> {
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    socket.send(answer(new Uint8Array(query), records()), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    async [Symbol.asyncDispose]() {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}

function answer(query: Uint8Array, records: Records): Uint8Array {
  let end = HEADER_BYTES;
  while (query[end] !== 0) end += 1 + query[end];
  const type = query[end + 1] << 8 | query[end + 2];
  const question = query.subarray(HEADER_BYTES, end + 5);
  const code = records === "failure"
    ? SERVER_FAILURE
    : records === "no such name"
    ? NO_SUCH_NAME
    : NO_ERROR;
  const found = typeof records === "string" ? [] : records[RECORD_TYPES[type]] ?? [];
  const header = [query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, found.length, 0, 0, 0, 0];
  // Each for the name at offset 12, of class IN, good for no time at all.
  const resources = found.flatMap((address) => [
    ...[0xc0, HEADER_BYTES, type >> 8, type & 0xff, 0, 1, 0, 0, 0, 0, 0, address.length],
    ...address,
  ]);
  return Uint8Array.of(...header, ...question, ...resources);
}
