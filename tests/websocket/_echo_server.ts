/**
 * Sends everything back, for conformance suites: `_echo_server.ts [--port N] [--compression]`. Runs on
 * Deno, Node.js and Bun.
 */

import { createServer } from "node:http";
import process from "node:process";
import { parseArgs } from "node:util";
import { acceptWebSocket } from "../../websocket/mod.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    port: { type: "string", default: "0" },
    compression: { type: "boolean", default: false },
  },
});

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

const server = createServer((_request, response) => {
  response.writeHead(426).end();
});
server.on("upgrade", (request, stream, head) => {
  const socket = acceptWebSocket(request, stream, head, {
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxBufferedBytes: 2 * MAX_MESSAGE_BYTES,
    compression: values.compression && { thresholdBytes: 0 },
  });
  if (socket === undefined) return;
  socket.binaryType = "uint8array";
  socket.onmessage = ({ data }) => socket.send(data);
});
server.listen(Number(values.port), "127.0.0.1", () => {
  const address = server.address();
  console.log(`listening on ${typeof address === "object" ? address?.port : address}`);
});
