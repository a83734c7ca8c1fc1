import { assert, assertEquals } from "@std/assert";
import { OPCODE } from "../../codec/mod.ts";
import { sharedHeartbeat } from "../../websocket/_heartbeat.ts";
import { type AcceptOptions, acceptWebSocket } from "../../websocket/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { accept, endAll, FakeStream, turn } from "./_fake_stream.ts";
import { clientFrame } from "./_raw_client.ts";

const PING = [0x89, 0];

/** A socket on simulated time, and what it has been told at its end. */
async function withSocket(
  options: AcceptOptions,
  run: (rig: ReturnType<typeof accept> & { time: FakeTimers; codes: number[] }) => Promise<void>,
): Promise<void> {
  const time = new FakeTimers();
  using _clock = sharedHeartbeat.useClock(time);
  const accepted = accept(options);
  const codes: number[] = [];
  accepted.socket.onclose = ({ code }) => codes.push(code);
  await turn();
  try {
    await run({ ...accepted, time, codes });
  } finally {
    await endAll(accepted.socket);
    assertEquals([time.pending, sharedHeartbeat.size], [0, 0]);
  }
}

const bytesOf = ({ writes }: FakeStream) => writes.flatMap((bytes) => [...bytes]);

Deno.test("a client that is silent for pingIntervalMs is sent a ping, and counts as gone without an answer", async () => {
  await withSocket({ pingIntervalMs: 30_000, pongTimeoutMs: 10_000 }, async (rig) => {
    const { stream, time, codes } = rig;
    time.advance(29_000);
    await turn();
    assertEquals(bytesOf(stream), []);
    time.advance(2_000);
    await turn();
    assertEquals(bytesOf(stream), PING);
    time.advance(8_000);
    await turn();
    assertEquals(codes, []);
    time.advance(4_000);
    await turn();
    assertEquals([bytesOf(stream), codes, stream.destroyed], [PING, [1006], true]);
  });
});

Deno.test("any frame of a client shows that it is alive, not only a pong", async () => {
  await withSocket(
    { pingIntervalMs: 1_000, pongTimeoutMs: 1_000 },
    async ({ stream, time, codes }) => {
      const sent = [clientFrame(OPCODE.PONG), clientFrame(OPCODE.TEXT, "x"), Uint8Array.of(0x81)];
      for (const bytes of sent) {
        stream.writes = [];
        while (stream.writes.length === 0) {
          time.advance(200);
          await turn();
        }
        assertEquals(bytesOf(stream), PING);
        time.advance(700);
        stream.receive(bytes);
        time.advance(700);
        await turn();
      }
      assertEquals(codes, []);
    },
  );
});

Deno.test("a client that sends all the time is never sent a ping", async () => {
  await withSocket({ pingIntervalMs: 1_000 }, async ({ stream, time }) => {
    for (let i = 0; i < 50; i++) {
      time.advance(900);
      stream.receive(clientFrame(OPCODE.PONG));
    }
    await turn();
    assertEquals(stream.writes, []);
  });
});

Deno.test("a client that takes unsent bytes is alive, and one that takes nothing is not", async () => {
  const options = { pingIntervalMs: 1_000, pongTimeoutMs: 1_000 };
  await withSocket(options, async ({ socket, stream, time, codes }) => {
    stream.room = 0;
    socket.send(new Uint8Array(100_000));
    time.advance(1_800);
    stream.take();
    time.advance(900);
    await turn();
    assertEquals(codes, []);
    stream.room = 0;
    socket.send(new Uint8Array(100_000));
    time.advance(2_500);
    await turn();
    assertEquals(codes, [1006]);
  });
});

Deno.test("time in which the process did not run does not count against a client", async () => {
  await withSocket(
    { pingIntervalMs: 10_000, pongTimeoutMs: 10_000 },
    async ({ time, codes, stream }) => {
      time.advance(11_000);
      await turn();
      assertEquals(bytesOf(stream), PING);
      // A process that was stopped for an hour finds its timer late.
      const { now } = time;
      time.now = () => now.call(time) + 3_600_000;
      time.advance(2_000);
      await turn();
      assertEquals(codes, []);
      time.advance(10_000);
      await turn();
      assertEquals(codes, [1006]);
    },
  );
});

Deno.test("pingIntervalMs of Infinity sends no pings", async () => {
  await withSocket({ pingIntervalMs: Infinity }, async ({ stream, time, codes }) => {
    time.advance(100 * 3_600_000);
    await turn();
    assertEquals([stream.writes, codes], [[], []]);
  });
});

Deno.test("a closing socket ends after some seconds, whatever the client does", async () => {
  for (const act of ["silent", "sends", "stalled"]) {
    await withSocket({}, async ({ socket, stream, time, codes }) => {
      if (act === "stalled") {
        stream.room = 0;
        socket.send(new Uint8Array(100_000));
      }
      socket.close(1000);
      await turn();
      for (let i = 0; i < 6; i++) {
        assertEquals(codes, []);
        if (act === "sends") stream.receive(clientFrame(OPCODE.TEXT, "more"));
        time.advance(500);
        await turn();
      }
      time.advance(3_000);
      await turn();
      assertEquals([codes, stream.destroyed, socket.bufferedAmount], [[1006], true, 0], act);
    });
  }
});

Deno.test("a client that has broken the protocol and stays is cut off after some seconds", async () => {
  await withSocket({}, async ({ stream, time, codes }) => {
    stream.receive(clientFrame(OPCODE.TEXT, "x", { rsv: 1 }));
    assertEquals([stream.ended, stream.destroyed], [true, false]);
    stream.receive(new Uint8Array(100_000));
    time.advance(6_000);
    await turn();
    assertEquals([stream.destroyed, codes], [true, [1002]]);
  });
});

Deno.test("a refused client that does not hang up is cut off after some seconds", async () => {
  const time = new FakeTimers();
  using _clock = sharedHeartbeat.useClock(time);
  const stream = new FakeStream();
  const request = { method: "GET", httpVersion: "1.1", headers: { host: "x" } };
  assertEquals(acceptWebSocket(request, stream, new Uint8Array()), undefined);
  assert(stream.ended && `${stream.written}`.startsWith("HTTP/1.1 400 Bad Request\r\n"));
  time.advance(3_000);
  assertEquals(stream.destroyed, false);
  time.advance(3_000);
  await turn();
  assertEquals([stream.destroyed, time.pending, sharedHeartbeat.size], [true, 0, 0]);
});

Deno.test("one timer serves all sockets, as often as the shortest interval needs, and ends with the last", async () => {
  const time = new FakeTimers();
  using _clock = sharedHeartbeat.useClock(time);
  const all = Array.from({ length: 100 }, () => accept());
  const quick = accept({ pingIntervalMs: 100 });
  assertEquals([time.pending, sharedHeartbeat.size], [1, 101]);
  time.advance(150);
  await turn();
  assertEquals(bytesOf(quick.stream), PING);
  assertEquals(all.every(({ stream }) => stream.writes.length === 0), true);
  // Sockets end in another order than they came.
  for (let i = 0; i < 100; i += 2) await endAll(all[i].socket);
  assertEquals([time.pending, sharedHeartbeat.size], [1, 51]);
  await endAll(quick.socket, ...all.map(({ socket }) => socket));
  assertEquals([time.pending, sharedHeartbeat.size], [0, 0]);
});

Deno.test("all due clients are pinged in one turn with one frame, and each client that is gone ends alone", async () => {
  const time = new FakeTimers();
  using _clock = sharedHeartbeat.useClock(time);
  const all = Array.from(
    { length: 10 },
    () => accept({ pingIntervalMs: 1_000, pongTimeoutMs: 1_000 }),
  );
  await turn();
  time.advance(1_300);
  await turn();
  for (const { stream } of all) assertEquals(bytesOf(stream), PING);
  for (const { stream } of all.slice(0, 5)) stream.receive(clientFrame(OPCODE.PONG));
  time.advance(1_000);
  await turn();
  assertEquals(all.map(({ stream }) => stream.destroyed), [
    ...Array(5).fill(false),
    ...Array(5).fill(true),
  ]);
  await endAll(...all.map(({ socket }) => socket));
});
