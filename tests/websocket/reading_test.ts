import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { constants, deflateRawSync } from "node:zlib";
import { OPCODE } from "../../codec/mod.ts";
import { Reading } from "../../websocket/_reading.ts";
import { FakeTiming } from "./_fake_timing.ts";
import { accept, endAll, turn } from "./_fake_stream.ts";
import { clientFrame, closePayload } from "./_raw_client.ts";

Deno.test("a turn begins to read no client after 5 ms, and reads one for at most 2 ms", () => {
  const timing = new FakeTiming();
  const reading = new Reading(timing);
  assertEquals([reading.isOver, timing.endTurn()], [false, false]);
  for (let i = 0; i < 3; i++) {
    assertEquals(reading.isOver, false);
    const isOver = reading.begin();
    timing.nowMs += 1;
    assertEquals(isOver(), false);
    timing.nowMs += 1;
    assertEquals(isOver(), true);
  }
  assertEquals(reading.isOver, true);
  timing.endTurn();
  assertEquals([reading.isOver, timing.endTurn()], [false, false]);
});

Deno.test("greedy clients wait for up to five turns while writing is behind, and others do not", () => {
  const timing = new FakeTiming();
  let isBehind = true;
  const reading = new Reading(timing, () => isBehind);
  let read = "";
  const greedy = {
    readOn() {
      read += "g";
      timing.nowMs += 2;
      reading.wait(greedy, true);
    },
  };
  const modest = { readOn: () => void (read += "m") };
  reading.wait(greedy, true);
  const turnOf = () => {
    read = "";
    reading.wait(modest, false);
    timing.endTurn();
    return read;
  };
  const turns = (count: number) => Array.from({ length: count }, turnOf);
  assertEquals(turns(6), ["m", "m", "m", "m", "mggg", "m"]);
  isBehind = false;
  assertEquals(turns(2), ["mggg", "mggg"]);
  isBehind = true;
  assertEquals(turns(5), ["m", "m", "m", "m", "mggg"]);
});

Deno.test("the clock is looked at after each frame that takes long, and less often after quick ones", () => {
  const timing = new FakeTiming();
  const reading = new Reading(timing);
  let looks = 0;
  timing.now = () => {
    looks++;
    return timing.nowMs;
  };
  const looksOf = (frames: number, ms: number) => {
    const isOver = reading.begin();
    looks = 0;
    for (let i = 0; i < frames; i++) {
      timing.nowMs += ms;
      isOver();
    }
    return looks;
  };
  assertEquals(looksOf(10, 0.15), 10);
  // After frame 1, 3, 7, and then every eighth.
  assertEquals(looksOf(8 * 100, 0.001), 3 + 99);
  timing.endTurn();
});

Deno.test("clients with more to read take turns of 2 ms, and a new one goes before them", () => {
  const timing = new FakeTiming();
  const reading = new Reading(timing);
  const read: string[] = [];
  const reader = (name: string, ms: number) => {
    const self = {
      readOn(isOver: () => boolean) {
        read.push(name);
        while (ms > 0 && !isOver()) {
          ms--;
          timing.nowMs++;
        }
        if (ms > 0) reading.wait(self, true);
      },
    };
    return self;
  };
  for (let i = 0; i < 8; i++) reading.wait(reader(`greedy ${i}`, 20), true);
  const turnOf = () => {
    const before = timing.nowMs;
    read.length = 0;
    assert(timing.endTurn());
    assert(timing.nowMs - before <= 6);
    return read.map((name) => name.slice(-1)).join("");
  };
  assertEquals(turnOf(), "012");
  reading.wait(reader("modest m", 1), false);
  assertEquals(turnOf(), "m34");
  assertEquals(turnOf(), "567");
  while (!timing.isIdle) turnOf();
  assertEquals(timing.nowMs, 8 * 20 + 1);
});

/** Resolves when those that wait have been read on. */
function later(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function burn(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
}

Deno.test("a client that sends much at once is read over several turns, in order, with others in between", async () => {
  const [greedy, modest] = [accept(), accept()];
  await turn();
  const heard: string[] = [];
  greedy.socket.onmessage = ({ data }) => {
    heard.push(String(data));
    burn(1);
  };
  let heardBefore = -1;
  modest.socket.onmessage = () => heardBefore = heard.length;
  const texts = Array.from({ length: 150 }, (_, i) => `${i} `.repeat(50));
  greedy.stream.receive(Buffer.concat(texts.map((text) => clientFrame(OPCODE.TEXT, text))));
  assert(heard.length > 0 && heard.length < 50, `${heard.length} in the first turn`);
  assertEquals(greedy.stream.paused, true);
  // More that comes in the same turn waits in its place.
  greedy.stream.receive(clientFrame(OPCODE.TEXT, "last"));
  modest.stream.receive(clientFrame(OPCODE.TEXT, "hello"));
  while (heard.length < 151) await later();
  assertEquals(heard, [...texts, "last"]);
  assert(heardBefore >= 0 && heardBefore < 120, `heard after ${heardBefore}`);
  await later();
  assertEquals(greedy.stream.paused, false);
  await endAll(greedy.socket, modest.socket);
});

Deno.test("short chunks count against the turn as well, because handlers may take long", async () => {
  const all = Array.from({ length: 12 }, () => accept());
  await turn();
  const heard: number[] = [];
  for (const [i, { socket }] of all.entries()) {
    socket.onmessage = () => {
      heard.push(i);
      burn(4);
    };
  }
  for (const { stream } of all) stream.receive(clientFrame(OPCODE.TEXT, "x"));
  assert(heard.length >= 1 && heard.length <= 3, `${heard.length} in the first turn`);
  while (heard.length < all.length) await later();
  assertEquals(heard, all.map((_, i) => i));
  await endAll(...all.map(({ socket }) => socket));
});

Deno.test("what a client has sent is read before its end is handled, in however many turns", async () => {
  const { stream, socket } = accept();
  await turn();
  const heard: unknown[] = [];
  socket.onmessage = ({ data }) => {
    heard.push(data);
    burn(3); // longer than a client's slice of a turn
  };
  let end: unknown[] = [];
  socket.onclose = ({ code, reason, wasClean }) => end = [code, reason, wasClean];
  const frames = ["1", "2", "3"].map((text) => clientFrame(OPCODE.TEXT, text));
  const close = clientFrame(OPCODE.CLOSE, closePayload(4001, "bye"));
  stream.receive(Buffer.concat([...frames, close]));
  assertEquals(heard, ["1"]);
  stream.emit("end");
  assertEquals(socket.readyState, 1);
  await turn();
  assertEquals([heard, socket.readyState], [["1", "2", "3"], 2]);
  stream.destroy();
  await turn();
  assertEquals(end, [4001, "bye", true]);
});

Deno.test("bytes that wait to be read are forgotten when their socket ends", async () => {
  const { stream, socket } = accept();
  await turn();
  let heard = 0;
  socket.onmessage = () => {
    heard++;
    burn(1);
  };
  stream.receive(Buffer.concat(Array(100).fill(clientFrame(OPCODE.TEXT, "x".repeat(100)))));
  const before = heard;
  await endAll(socket);
  await later();
  assertEquals(heard, before);
});

Deno.test("a client that does not read is no longer read, even in the middle of a chunk", async () => {
  const offer = { "sec-websocket-extensions": "permessage-deflate" };
  const { stream, socket } = accept({ compression: { thresholdBytes: 1e9 } }, offer);
  await turn();
  stream.room = 0;
  let heard = 0;
  socket.onmessage = ({ data }) => {
    heard++;
    socket.send(data);
  };
  // In 64 KiB there is room for some sixty messages that inflate to 1 MiB each.
  const bomb = deflateRawSync(Buffer.alloc(2 ** 20), { finishFlush: constants.Z_SYNC_FLUSH });
  const frame = clientFrame(OPCODE.BINARY, bomb.subarray(0, -4), { rsv: 4 });
  stream.receive(Buffer.concat(Array(50).fill(frame)));
  for (let i = 0; i < 20; i++) await later();
  assertEquals([heard, stream.paused], [1, true]);
  stream.room = 2 ** 22;
  stream.take(0);
  for (let i = 0; i < 20; i++) await later();
  assertEquals([heard > 1, stream.paused], [true, true]);
  while (heard < 50) {
    stream.take();
    await later();
  }
  await later();
  assertEquals(stream.paused, false);
  await endAll(socket);
});
