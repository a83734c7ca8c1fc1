/**
 * One contender of `websocket_bench.ts`, with its clients in another process:
 * `server.ts KIND SOCKETS BURST BYTES SECONDS NODE`. Prints one JSON line.
 */

import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createHash } from "node:crypto";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { fileURLToPath } from "node:url";
import { encodeWebSocketFrame, OPCODE } from "../../codec/mod.ts";
import { acceptWebSocket, type ServerWebSocket } from "../../websocket/mod.ts";

const [kind, ...numbers] = process.argv.slice(2);
const [socketCount, burst, bytes, seconds] = numbers.slice(0, 4).map(Number);
const node = numbers[4];

/** Where messages go. */
interface Contender {
  port: number;
  broadcast(payload: Uint8Array): void;
}

function listen(
  onUpgrade: (request: Parameters<typeof acceptWebSocket>[0], stream: Duplex, head: Buffer) => void,
): Promise<number> {
  const server = createServer();
  server.on("upgrade", onUpgrade);
  return new Promise((resolve) => {
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
      const address = server.address();
      resolve(typeof address === "object" ? address?.port ?? 0 : 0);
    });
  });
}

async function endpoint(): Promise<Contender> {
  const sockets: ServerWebSocket[] = [];
  const port = await listen((request, stream, head) => {
    const socket = acceptWebSocket(request, stream, head);
    if (socket !== undefined) sockets.push(socket);
  });
  return {
    port,
    broadcast(payload) {
      const frame = encodeWebSocketFrame(OPCODE.TEXT, payload);
      for (const socket of sockets) socket.sendFrame(frame);
    },
  };
}

/** What the endpoint is measured against: the same idea and nothing around it. */
async function prototype(): Promise<Contender> {
  interface Member {
    stream: Duplex;
    frames: Uint8Array[];
  }
  const members: Member[] = [];
  const port = await listen((request, stream) => {
    stream.on("error", () => {});
    const key = String(request.headers["sec-websocket-key"]);
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    stream.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${accept.digest("base64")}\r\n\r\n`,
    );
    stream.on("data", () => {});
    members.push({ stream, frames: [] });
  });
  let scheduled = false;
  const flush = () => {
    scheduled = false;
    let last: Uint8Array[] = [];
    let joined: Uint8Array = new Uint8Array();
    for (const member of members) {
      const { frames } = member;
      if (frames.length === 0) continue;
      member.frames = [];
      if (frames.length !== last.length || frames.some((frame, i) => frame !== last[i])) {
        joined = frames.length === 1 ? frames[0] : Buffer.concat(frames);
        last = frames;
      }
      member.stream.write(joined);
    }
  };
  return {
    port,
    broadcast(payload) {
      const frame = encodeWebSocketFrame(OPCODE.TEXT, payload);
      for (const member of members) member.frames.push(frame);
      if (!scheduled) setImmediate(flush);
      scheduled = true;
    },
  };
}

/** What this file needs of Bun. */
interface BunLike {
  serve(options: unknown): { port: number; publish(topic: string, data: string): void };
}

function bunPublish(): Contender {
  const { Bun } = globalThis as unknown as { Bun: BunLike };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request: Request, server: { upgrade(request: Request): boolean }) {
      return server.upgrade(request) ? undefined : new Response(null, { status: 400 });
    },
    websocket: {
      open: (socket: { subscribe(topic: string): void }) => socket.subscribe("room"),
      message() {},
    },
  });
  const decoder = new TextDecoder();
  return {
    port: server.port,
    broadcast: (payload) => server.publish("room", decoder.decode(payload)),
  };
}

const contender = kind === "endpoint"
  ? await endpoint()
  : kind === "prototype"
  ? await prototype()
  : bunPublish();
const clients = spawn(node, [
  fileURLToPath(new URL("./clients.ts", import.meta.url)),
  String(contender.port),
  String(socketCount),
], { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: clients.stdout })[Symbol.asyncIterator]();
await lines.next();

const payload = new Uint8Array(bytes).fill(0x78);
const frameBytes = encodeWebSocketFrame(OPCODE.TEXT, payload).length;

async function round(): Promise<void> {
  clients.stdin.write(`${burst * frameBytes}\n`);
  for (let i = 0; i < burst; i++) contender.broadcast(payload);
  await lines.next();
}

async function run(forMs: number): Promise<{ perSecond: number; cpuMicros: number }> {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  let rounds = 0;
  while (performance.now() - startedAt < forMs) {
    await round();
    rounds++;
  }
  const deliveries = rounds * burst * socketCount;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    perSecond: deliveries / (performance.now() - startedAt) * 1000,
    cpuMicros: (user + system) / deliveries,
  };
}

await run(1_000);
console.log(JSON.stringify(await run(seconds * 1000)));
clients.stdin.end();
process.exit(0);
