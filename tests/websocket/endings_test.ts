import { assert, assertEquals } from "@std/assert";
import { Endings, sharedEndings } from "../../websocket/_endings.ts";
import { sharedHeartbeat } from "../../websocket/_heartbeat.ts";
import { acceptWebSocket } from "../../websocket/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { FakeTiming } from "./_fake_timing.ts";
import { accept, endAll, FakeStream, turn } from "./_fake_stream.ts";
import { clientFrame } from "./_raw_client.ts";

Deno.test("a stream is destroyed at once, and when a turn has spent 10 ms, the next go on in order", () => {
  const timing = new FakeTiming();
  const endings = new Endings(timing);
  const ended: number[] = [];
  const add = (i: number) =>
    endings.add({
      destroy: () => {
        timing.nowMs += 1;
        ended.push(i);
      },
    });
  for (let i = 0; i < 25; i++) add(i);
  assertEquals([ended.length, endings.waiting], [10, 15]);
  timing.endTurn();
  assertEquals([ended.length, endings.waiting], [20, 5]);
  // It comes after those that wait.
  add(25);
  timing.endTurn();
  assertEquals([ended.length, endings.waiting], [26, 0]);
  while (timing.endTurn());
  assertEquals(ended, Array.from({ length: 26 }, (_, i) => i));
  add(26);
  assertEquals(ended.at(-1), 26);
});

/** A stream that takes 2 ms to destroy. */
function makeSlow(stream: FakeStream): void {
  const destroy = stream.destroy.bind(stream);
  stream.destroy = () => {
    const endsAt = performance.now() + 2;
    while (performance.now() < endsAt);
    destroy();
  };
}

const STREAMS = 40;

/** Ends many sockets in one turn, by `end`, and tells how many of them. */
async function endedAtOnce(
  end: (all: ReturnType<typeof accept>[], time: FakeTimers) => void,
): Promise<number> {
  const time = new FakeTimers();
  using _clock = sharedHeartbeat.useClock(time);
  const all = Array.from(
    { length: STREAMS },
    () => accept({ pingIntervalMs: 1_000, pongTimeoutMs: 1_000 }),
  );
  await turn();
  for (const { stream } of all) makeSlow(stream);
  end(all, time);
  const atOnce = all.filter(({ stream }) => stream.destroyed).length;
  // None of them may send or count any more, although their streams have not been destroyed.
  for (const { socket } of all) socket.send("x");
  time.advance(1_000);
  let turns = 0;
  while (sharedEndings.waiting > 0) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    turns++;
  }
  assert(turns >= 3, `${turns} turns`);
  await turn();
  assertEquals(all.map(({ stream }) => stream.destroyed), Array(STREAMS).fill(true));
  assertEquals(all.map(({ socket }) => socket.readyState), Array(STREAMS).fill(3));
  assertEquals([time.pending, sharedHeartbeat.size], [0, 0]);
  return atOnce;
}

Deno.test("clients that are due together end over several turns", async () => {
  const ways: [string, (all: ReturnType<typeof accept>[], time: FakeTimers) => void][] = [
    ["no pong", (_all, time) => time.advance(2_500)],
    ["no close", (all, time) => {
      for (const { stream, socket } of all) {
        stream.room = 0;
        socket.send(new Uint8Array(100_000));
        socket.close(1013);
      }
      time.advance(5_100);
    }],
    ["broken protocol", (all, time) => {
      for (const { stream } of all) stream.receive(clientFrame(3, "x"));
      time.advance(5_100);
    }],
    ["hung up", (all) => {
      for (const { stream } of all) stream.emit("end");
    }],
  ];
  for (const [way, end] of ways) {
    const atOnce = await endedAtOnce(end);
    assert(atOnce >= 1 && atOnce <= 8, `${way}: ${atOnce} at once`);
  }
});

Deno.test("refused clients that do not hang up end over several turns", async () => {
  const time = new FakeTimers();
  using _clock = sharedHeartbeat.useClock(time);
  const streams = Array.from({ length: STREAMS }, () => {
    const stream = new FakeStream();
    makeSlow(stream);
    const request = { method: "GET", httpVersion: "1.1", headers: { host: "x" } };
    assertEquals(acceptWebSocket(request, stream, new Uint8Array()), undefined);
    return stream;
  });
  time.advance(6_000);
  const atOnce = streams.filter(({ destroyed }) => destroyed).length;
  assert(atOnce >= 1 && atOnce <= 8, `${atOnce} at once`);
  while (sharedEndings.waiting > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(streams.every(({ destroyed }) => destroyed), true);
  assertEquals([time.pending, sharedHeartbeat.size], [0, 0]);
});

Deno.test("terminate does not wait for its turn", async () => {
  const all = Array.from({ length: STREAMS }, () => accept());
  await turn();
  for (const { stream } of all) makeSlow(stream);
  for (const { socket } of all) socket.terminate();
  assertEquals(all.map(({ stream }) => stream.destroyed), Array(STREAMS).fill(true));
  await endAll(...all.map(({ socket }) => socket));
});
