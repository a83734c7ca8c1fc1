/**
 * One link between two processes, over TLS and over TCP, in turns: messages a second, beside what
 * the bare connection carries in the same run, and the latency of one message in an idle mesh.
 * Prints Markdown.
 *
 * The peer is this file again, started with the name of a transport: it counts what arrives and says
 * when all of a round is there.
 */

import {
  type Address,
  encodeRoomBroadcast,
  type Mesh,
  Rooms,
  type RoomSocket,
  startMesh,
  type Transport,
} from "../mod.ts";
import { tcpTransport, tlsTransport } from "../mesh/mod.ts";

const TRANSPORTS = { TLS: tlsTransport(), TCP: tcpTransport };

const COOKIE = "for the bench only";
const ROUNDS = 7;
const PINGS = 1_000;
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

async function peer(transport: Transport): Promise<void> {
  const mesh = await startMesh({ name: "peer@127.0.0.1:0", cookie: COOKIE, transport });
  const rooms = new Rooms<Listener>({ backplane: mesh });
  let left = 0;
  rooms.join(new Listener((data) => left = Number(data)), "expect");
  rooms.join(new Listener(() => --left === 0 && rooms.broadcast("done", "")), "load");
  rooms.join(new Listener((data) => rooms.broadcast("pong", data)), "ping");
  const raw = await transport.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(JSON.stringify({ name: mesh.name, raw: raw.address }));
  for (;;) {
    const connection = await raw.accept();
    const buffer = new Uint8Array(256 * 1024);
    for (let rest = RAW_BYTES; rest > 0;) rest -= await connection.read(buffer) ?? rest;
    await connection.write(Uint8Array.of(1));
    await connection.read(buffer);
    connection.close();
  }
}

async function rawMegabytesPerSecond(transport: Transport, address: Address): Promise<number> {
  const connection = await transport.connect(address, { signal: new AbortController().signal });
  const chunk = new Uint8Array(256 * 1024);
  const start = performance.now();
  for (let sent = 0; sent < RAW_BYTES;) {
    sent += await connection.write(chunk.subarray(0, RAW_BYTES - sent));
  }
  await connection.read(new Uint8Array(1));
  const elapsed = performance.now() - start;
  connection.close();
  return RAW_BYTES / 1000 / elapsed;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function format(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** One way of linking, and what was measured on it. */
class Bench {
  readonly way: keyof typeof TRANSPORTS;
  readonly #mesh: Mesh;
  readonly #rooms: Rooms<Listener>;
  readonly #raw: Address;
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #rawRates: number[] = [];
  readonly #rates = SIZES.map(() => ({ broadcast: [] as number[], publish: [] as number[] }));
  readonly #times: number[] = [];
  #arrived = () => {};

  private constructor(
    way: keyof typeof TRANSPORTS,
    mesh: Mesh,
    raw: Address,
    child: Deno.ChildProcess,
    output: ReadableStreamDefaultReader<string>,
  ) {
    this.way = way;
    this.#mesh = mesh;
    this.#raw = raw;
    this.#child = child;
    this.#output = output;
    this.#rooms = new Rooms<Listener>({ backplane: mesh });
    for (const room of ["done", "pong"]) {
      this.#rooms.join(new Listener(() => this.#arrived()), room);
    }
  }

  static async start(way: keyof typeof TRANSPORTS): Promise<Bench> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", import.meta.filename ?? "", way],
      stdout: "piped",
    }).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { name, raw } = JSON.parse((await output.read()).value ?? "");
    const transport = TRANSPORTS[way];
    const mesh = await startMesh({ name: "bench@127.0.0.1:0", cookie: COOKIE, transport });
    await mesh.connect(name);
    return new Bench(way, mesh, raw, child, output);
  }

  async round(): Promise<void> {
    this.#rawRates.push(await rawMegabytesPerSecond(TRANSPORTS[this.way], this.#raw));
    for (const [i, { bytes, count }] of SIZES.entries()) {
      const message = "m".repeat(bytes);
      const encoded = encodeRoomBroadcast("load", message);
      const [mesh, rooms] = [this.#mesh, this.#rooms];
      const { broadcast, publish } = this.#rates[i];
      broadcast.push(await this.#load(count, () => rooms.broadcast("load", message).dropped));
      publish.push(await this.#load(count, () => mesh.publish(encoded).dropped));
    }
    for (let i = 0; i < PINGS; i++) {
      const back = new Promise<void>((resolve) => this.#arrived = resolve);
      const start = performance.now();
      this.#rooms.broadcast("ping", "hello");
      await back;
      this.#times.push((performance.now() - start) * 1000 / 2);
    }
  }

  report(): string[] {
    const rawRate = median(this.#rawRates);
    this.#times.sort((a, b) => a - b);
    const at = (share: number) => format(this.#times[Math.floor(this.#times.length * share)]);
    const times = `${at(0.5)} / ${at(0.99)} µs`;
    return SIZES.flatMap(({ bytes }, i) =>
      Object.entries(this.#rates[i]).map(([name, values]) => {
        const rate = median(values);
        const megabytes = rate * (4 + 7 + "load".length + bytes) / 1e6;
        const share = (100 * megabytes / rawRate).toFixed(0);
        return `| ${this.way} | ${bytes} B | ${name} | ${format(rate)} | ${format(megabytes)} | ` +
          `${format(rawRate)} | ${share} % | ${times} |`;
      })
    );
  }

  async stop(): Promise<void> {
    await this.#mesh.shutdown();
    this.#child.kill();
    await this.#child.status;
    await this.#output.cancel();
  }

  /** Sends `count` messages, letting the link catch up now and then; messages a second. */
  async #load(count: number, send: () => number): Promise<number> {
    const done = new Promise<void>((resolve) => this.#arrived = resolve);
    this.#rooms.broadcast("expect", String(count));
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      if (send() > 0) throw new Error("the bench itself has overrun the link");
      if (i % 256 === 0) {
        while (this.#mesh.peers[0].queuedBytes > HIGH_WATER_BYTES) await turn();
      }
    }
    await done;
    return count / (performance.now() - start) * 1000;
  }
}

async function main(): Promise<void> {
  const benches = [await Bench.start("TLS"), await Bench.start("TCP")];
  for (let round = 0; round < ROUNDS; round++) {
    for (const bench of benches) await bench.round();
  }
  console.log(
    "| link | message | way in | messages/s | MB/s on the wire | raw MB/s | of raw | one way, p50 / p99 |",
  );
  console.log("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |");
  for (const bench of benches) {
    for (const row of bench.report()) console.log(row);
    await bench.stop();
  }
}

const [way] = Deno.args;
await (way === "TLS" || way === "TCP" ? peer(TRANSPORTS[way]) : main());
