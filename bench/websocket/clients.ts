/**
 * Clients for `websocket_bench.ts`, on Node.js: `clients.ts PORT COUNT`. A line `N BYTES` on the input
 * waits until each of them has received N times BYTES since the last; the answer is a line on the output.
 */

import { Buffer } from "node:buffer";
import { connect } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";

const [port, count] = process.argv.slice(2).map(Number);
let received = 0;
let expected = Infinity;

function took(bytes: number): void {
  received += bytes;
  if (received < expected) return;
  received -= expected;
  expected = Infinity;
  process.stdout.write("all\n");
}

const buffer = Buffer.alloc(256 * 1024);
const sockets = Array.from({ length: count }, () => {
  let isOpen = false;
  const opened = Promise.withResolvers<void>();
  const socket = connect({
    port,
    host: "127.0.0.1",
    onread: {
      buffer,
      callback: (size) => {
        if (isOpen) took(size);
        // The answer to the request comes alone: the server waits for everybody.
        else opened.resolve(), isOpen = true;
        return true;
      },
    },
  });
  socket.write(
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  return { socket, opened: opened.promise };
});
await Promise.all(sockets.map(({ opened }) => opened));
process.stdout.write("open\n");

for await (const line of createInterface({ input: process.stdin })) {
  expected = count * Number(line);
  took(0);
}
process.exit(0);
