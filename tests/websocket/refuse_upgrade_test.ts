import { assertMatch, assertThrows } from "@std/assert";
import { connect } from "node:net";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { refuseUpgrade } from "../../websocket/mod.ts";
import { FakeStream } from "./_fake_stream.ts";

Deno.test("refuseUpgrade answers with the status and the reason, and closes the stream", async () => {
  const server = createServer();
  server.on("upgrade", (_request, stream) => refuseUpgrade(stream, 503, "restarting"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  const client = connect(port, "127.0.0.1");
  client.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  const chunks: string[] = [];
  for await (const chunk of client.setEncoding("utf8")) chunks.push(chunk);
  assertMatch(chunks.join(""), /^HTTP\/1\.1 503 Service Unavailable\r\n.*\r\n\r\nrestarting\n$/s);
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("refuseUpgrade takes statuses from 400 to 599 only", () => {
  for (const status of [0, 200, 399, 600, 503.5, NaN]) {
    assertThrows(() => refuseUpgrade(new FakeStream(), status, "no"), RangeError, "400 to 599");
  }
});

Deno.test("a stream whose client has gone is not answered", () => {
  const stream = new FakeStream();
  stream.destroy();
  refuseUpgrade(stream, 503, "restarting");
});
