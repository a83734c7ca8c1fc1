/**
 * `deno serve --parallel` as people use it: each process is a machine with several workers, and clients
 * are on whichever worker the system has chosen.
 */

import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { ParallelClient } from "./_parallel_client.ts";
import { ParallelServer } from "./_parallel_server.ts";

const ROUNDS = 20;

/** Has each client say something, and checks that all others hear it, in order and once. */
async function hearEachOther(clients: readonly ParallelClient[], topic: string): Promise<void> {
  for (let i = 0; i < ROUNDS; i++) {
    for (const [from, client] of clients.entries()) client.say(`${topic} ${from} ${i}`);
  }
  const last = ROUNDS - 1;
  for (const [to, client] of clients.entries()) {
    for (const from of clients.keys()) {
      if (from === to) continue;
      await client.hears(`${topic} ${from} ${last}`);
      // Nothing of this sender comes after its last message: neither a duplicate nor an echo.
      const heard = client.heard.filter((text) => text.startsWith(`${topic} ${from} `));
      assertEquals(heard, Array.from({ length: ROUNDS }, (_, i) => `${topic} ${from} ${i}`));
    }
    assert(!client.heard.some((text) => text.startsWith(`${topic} ${to} `)));
  }
}

async function closeAll(clients: readonly ParallelClient[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close()));
}

/** A server on which the port is held by a worker that can die without the process. */
async function startWithMortalHolder(): Promise<{ server: ParallelServer; names: string[] }> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const server = new ParallelServer([]);
    const names = await server.names();
    if (names[0] !== server.holder) return { server, names };
    await server.stop();
  }
  throw new Error("the main thread was the first to listen, twenty times");
}

Deno.test("clients on all workers of two machines hear each other, each message once", async () => {
  await using one = new ParallelServer([]);
  await using two = new ParallelServer([one.address]);
  const [first, second] = [await one.names(), await two.names()];
  const all = [...first, ...second];
  assertEquals(new Set(all).size, one.workers + two.workers);
  assert(first.includes(one.holder) && second.includes(two.holder));
  await Promise.all([one.linked(first, all), two.linked(second, all)]);

  const clients = [
    ...await ParallelClient.onEach(one, first, "lobby"),
    ...await ParallelClient.onEach(two, second, "lobby"),
  ];
  await hearEachOther(clients, "a");

  // A machine that joins later.
  await using three = new ParallelServer([two.address], { workers: 2 });
  const third = await three.names();
  await three.linked(third, [...all, ...third]);
  clients.push(...await ParallelClient.onEach(three, third, "lobby"));
  await hearEachOther(clients, "b");
  await closeAll(clients);
  for (const server of [one, two, three]) assertEquals((await server.stop()).code, 0);
});

Deno.test("the other workers go on when the holder of the port dies, and newcomers find them", async () => {
  const { server: one, names } = await startWithMortalHolder();
  await using _one = one;
  await one.linked(names, names);
  const others = names.filter((name) => name !== one.holder);
  const clients = await ParallelClient.onEach(one, others, "lobby");
  await one.kill(one.holder);
  await one.linked(others, others);
  await hearEachOther(clients, "a");

  await using two = new ParallelServer([one.address]);
  const second = await two.names();
  await two.linked(second, [...others, ...second]);
  clients.push(...await ParallelClient.onEach(two, second, "lobby"));
  await hearEachOther(clients, "b");

  // A worker that holds no port of others.
  const victim = second.slice(1).find((name) => name !== two.holder) ?? "";
  await closeAll(clients);
  await two.kill(victim);
  const left = second.filter((name) => name !== victim);
  await two.linked(left, [...others, ...left]);
  const rest = [
    ...await ParallelClient.onEach(one, others, "lobby"),
    ...await ParallelClient.onEach(two, left, "lobby"),
  ];
  await hearEachOther(rest, "c");
  await closeAll(rest);
  // Deno reports the error that a worker has died of, but only when the process ends.
  for (const server of [one, two]) assertEquals((await server.stop()).code, 1);
});

Deno.test("every worker survives whatever a client does", async () => {
  await using server = new ParallelServer([]);
  const names = await server.names();
  await server.linked(names, names);
  const clients = await ParallelClient.onEach(server, names, "lobby");
  for (let round = 0; round < 10; round++) {
    for (const attack of ATTACKS) await attack(server.port);
  }
  await hearEachOther(clients, "a");
  const newcomers = await ParallelClient.onEach(server, names, "lobby");
  await hearEachOther(newcomers, "b");
  await closeAll([...clients, ...newcomers]);
  assertEquals((await server.stop()).code, 0);
});

/** Says something to a worker, and either waits for the end or hangs up at once. */
async function attack(port: number, bytes: Uint8Array, { hangUp = false } = {}): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    await connection.write(bytes as Uint8Array<ArrayBuffer>);
    if (hangUp) return;
    await connection.closeWrite();
    const buffer = new Uint8Array(4096);
    while (await connection.read(buffer) !== null);
  } catch {
    // It was cut off, which is an answer as well.
  }
}

function upgrade(path: string, headers: Record<string, string> = {}): Uint8Array {
  const all = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
}

/** A frame of a client, masked with zeros. */
function frame(opcode: number, payload: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(payload.length));
  return concat([Uint8Array.of(0x80 | opcode, 0xff), length, new Uint8Array(4), payload]);
}

const NOISE = Uint8Array.from({ length: 1_000 }, (_, i) => i * 151 % 256);

const ATTACKS: readonly ((port: number) => Promise<void>)[] = [
  NOISE,
  upgrade(`/${"r".repeat(5_000)}`),
  upgrade(`/${"r".repeat(100_000)}`),
  upgrade("//"),
  upgrade("http://[/%zz"),
  upgrade("/lobby", { Host: "[:::" }),
  upgrade("/lobby", { Origin: "null" }),
  upgrade("/lobby", { "Sec-WebSocket-Key": "short" }),
  concat([upgrade("/lobby"), NOISE]),
  concat([upgrade("/lobby"), frame(0x1, NOISE)]),
  concat([upgrade("/lobby"), frame(0x2, NOISE)]),
  concat([upgrade("/lobby"), frame(0x1, new Uint8Array(20_000))]),
  concat([upgrade("/lobby"), frame(0x8, Uint8Array.of(0))]),
  concat([upgrade("/%ED%A0%80"), frame(0x1, new TextEncoder().encode("\\ud800"))]),
].flatMap((bytes) => [
  (port) => attack(port, bytes),
  (port) => attack(port, bytes, { hangUp: true }),
  (port) => attack(port, bytes.subarray(0, bytes.length >> 1), { hangUp: true }),
]);
