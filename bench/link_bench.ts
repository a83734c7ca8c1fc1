/**
 * One link between two processes: messages a second, beside the raw throughput of `Deno.Conn` in
 * the same run, and the latency of one message in an idle mesh. Prints Markdown.
 *
 * The peer is this file again, started with `peer`: it counts what arrives and says when all of a
 * round is there.
 */

import { encodeRoomBroadcast, Rooms, type RoomSocket, startMesh } from "../mod.ts";

const COOKIE = "for the bench only";
const ROUNDS = 7;
const RAW_BYTES = 1024 ** 3;
const SIZES = [{ bytes: 64, count: 1_500_000 }, { bytes: 1024, count: 600_000 }];
/** Bytes that may wait before the sender lets the link catch up. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024;

class Listener implements RoomSocket {
  readonly readyState = 1;
  readonly bufferedAmount = 0;
  readonly send: (data: string) => void;
  constructor(onMessage: (data: string) => void) {
    this.send = onMessage;
  }
  close(): void {}
  addEventListener(): void {}
}

/** Lets the event loop turn once. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve);
  return promise;
}

async function peer(): Promise<void> {
  const mesh = await startMesh({ name: "peer@127.0.0.1:0", cookie: COOKIE });
  const rooms = new Rooms<Listener>({ backplane: mesh });
  let left = 0;
  rooms.join(new Listener((data) => left = Number(data)), "expect");
  rooms.join(new Listener(() => --left === 0 && rooms.broadcast("done", "")), "load");
  rooms.join(new Listener((data) => rooms.broadcast("pong", data)), "ping");
  const raw = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(JSON.stringify({ name: mesh.name, raw: raw.addr.port }));
  for await (const connection of raw) {
    const buffer = new Uint8Array(256 * 1024);
    for (let rest = RAW_BYTES; rest > 0;) rest -= await connection.read(buffer) ?? rest;
    await connection.write(Uint8Array.of(1));
    connection.close();
  }
}

async function rawMegabytesPerSecond(port: number): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const chunk = new Uint8Array(256 * 1024);
  const start = performance.now();
  for (let sent = 0; sent < RAW_BYTES;) sent += await connection.write(chunk);
  await connection.read(new Uint8Array(1));
  return RAW_BYTES / 1000 / (performance.now() - start);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function format(value: number): string {
  return Math.round(value).toLocaleString("en");
}

async function main(): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", import.meta.filename ?? "", "peer"],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { name, raw } = JSON.parse((await reader.read()).value ?? "");

  const mesh = await startMesh({ name: "bench@127.0.0.1:0", cookie: COOKIE });
  await mesh.connect(name);
  const rooms = new Rooms<Listener>({ backplane: mesh });
  let arrived = () => {};
  rooms.join(new Listener(() => arrived()), "done");
  rooms.join(new Listener(() => arrived()), "pong");

  /** Sends `count` messages, letting the link catch up now and then; messages a second. */
  const load = async (count: number, send: () => number): Promise<number> => {
    const done = new Promise<void>((resolve) => arrived = resolve);
    rooms.broadcast("expect", String(count));
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      if (send() > 0) throw new Error("the bench itself has overrun the link");
      if (i % 256 === 0) { while (mesh.peers[0].queuedBytes > HIGH_WATER_BYTES) await turn(); }
    }
    await done;
    return count / (performance.now() - start) * 1000;
  };

  const rawRates: number[] = [];
  const rates = SIZES.map(() => ({ broadcast: [] as number[], publish: [] as number[] }));
  for (let round = 0; round < ROUNDS; round++) {
    rawRates.push(await rawMegabytesPerSecond(raw));
    for (const [i, { bytes, count }] of SIZES.entries()) {
      const message = "m".repeat(bytes);
      const encoded = encodeRoomBroadcast("load", message);
      rates[i].broadcast.push(await load(count, () => rooms.broadcast("load", message).dropped));
      rates[i].publish.push(await load(count, () => mesh.publish(encoded).dropped));
    }
  }
  const rawRate = median(rawRates);
  console.log(`raw \`Deno.Conn\`: ${format(rawRate)} MB/s\n`);
  console.log("| message | way in | messages/s | MB/s on the wire | of raw |");
  console.log("| --- | --- | ---: | ---: | ---: |");
  for (const [i, { bytes }] of SIZES.entries()) {
    const frameBytes = 4 + 7 + "load".length + bytes;
    for (const [way, values] of Object.entries(rates[i])) {
      const rate = median(values);
      const megabytes = rate * frameBytes / 1e6;
      const share = (100 * megabytes / rawRate).toFixed(0);
      console.log(`| ${bytes} B | ${way} | ${format(rate)} | ${format(megabytes)} | ${share} % |`);
    }
  }

  const times: number[] = [];
  for (let i = 0; i < 5_000; i++) {
    const back = new Promise<void>((resolve) => arrived = resolve);
    const start = performance.now();
    rooms.broadcast("ping", "hello");
    await back;
    times.push((performance.now() - start) * 1000 / 2);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => format(times[Math.floor(times.length * share)]);
  console.log(
    `\none way in an idle mesh (half a round trip): p50 ${at(0.5)} µs, p99 ${at(0.99)} µs`,
  );

  await mesh.shutdown();
  child.kill();
  await child.status;
  await reader.cancel();
}

await (Deno.args[0] === "peer" ? peer() : main());
