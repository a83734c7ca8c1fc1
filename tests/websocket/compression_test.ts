import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { inflateRawSync } from "node:zlib";
import { encodeWebSocketFrame, encodeWebSocketText, OPCODE } from "../../codec/mod.ts";
import { COMPRESSION } from "./cases/compression.ts";
import { accept, endAll, turn } from "./_fake_stream.ts";

for (const [name, run] of Object.entries(COMPRESSION)) Deno.test(name, run);

const OFFER = { "sec-websocket-extensions": "permessage-deflate" };

Deno.test("a broadcast is compressed once for all clients that can inflate it, and for no others", async () => {
  const plain = [accept({ compression: true }), accept({ compression: true })];
  const compressed = [1, 2, 3].map(() => accept({ compression: true }, OFFER));
  const frames = ["a", "b"].map((letter) => encodeWebSocketText(letter.repeat(2000)));
  // Members of both kinds in turn, as a room may have them.
  const [p, q] = plain, [c, d, e] = compressed;
  const members = [p, c, q, d, e];
  for (const frame of frames) for (const { socket } of members) socket.sendFrame(frame);
  await turn();
  assertEquals(members.map(({ stream }) => stream.writes.length), [1, 1, 1, 1, 1]);
  assertStrictEquals(p.stream.writes[0], q.stream.writes[0]);
  assertStrictEquals(c.stream.writes[0], d.stream.writes[0]);
  assertStrictEquals(c.stream.writes[0], e.stream.writes[0]);
  assertEquals(p.stream.written.length, 2 * 2004);
  const bytes = c.stream.written;
  assert(bytes.length < 100);
  assertEquals(bytes[0], 0xc1);
  assertEquals(
    `${inflateRawSync(bytes.subarray(2, 2 + bytes[1]), { finishFlush: 2 })}`,
    "a".repeat(2000),
  );
  await endAll(...members.map(({ socket }) => socket));
});

Deno.test("sockets whose clients asked for different windows do not share", async () => {
  const small = accept({ compression: true }, {
    "sec-websocket-extensions": "permessage-deflate; server_max_window_bits=9",
  });
  const large = accept({ compression: true }, OFFER);
  const block = Array.from(
    { length: 1000 },
    (_, i) => String.fromCharCode(32 + (i * i * 7 + i) % 90),
  ).join("");
  const frame = encodeWebSocketText(block + block);
  for (const { socket } of [small, large]) socket.sendFrame(frame);
  await turn();
  assert(small.stream.written.length > large.stream.written.length + 100);
  await endAll(small.socket, large.socket);
});

Deno.test("a shared ping is sent uncompressed", async () => {
  const { socket, stream } = accept({ compression: { thresholdBytes: 0 } }, OFFER);
  const ping = encodeWebSocketFrame(OPCODE.PING, new Uint8Array(100));
  socket.sendFrame(ping);
  await turn();
  assertEquals([...stream.written], [...ping]);
  await endAll(socket);
});
