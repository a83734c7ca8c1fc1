import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { MalformedEvent, MissedEvent, OverflowEvent, RefusedEvent } from "../../backplane/mod.ts";
import { DownEvent, UpEvent } from "../../brokers/nats.ts";
import { type MeshErrorCode, PeerDownEvent, type PeerInfo, PeerUpEvent } from "../../mesh/mod.ts";
import { MeshError } from "../../mod.ts";
import { logEvents } from "../../telemetry/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";

const PERIOD_MS = 10_000;
const peer = { name: "b@10.0.0.2:9000", direction: "outgoing" } as PeerInfo;

function setUp() {
  const source = new EventTarget();
  const lines: string[] = [];
  const timers = new FakeTimers();
  const log = logEvents(source, (line) => lines.push(line), { timers });
  return { source, lines, timers, log };
}

function wrongCookie(address: string): RefusedEvent<MeshErrorCode> {
  const error = new MeshError("wrong-cookie", address, `${address} does not know our cookie`);
  return new RefusedEvent<MeshErrorCode>(address, "wrong-cookie", error);
}

Deno.test("logEvents writes one clear line for each event", () => {
  const { source, lines } = setUp();
  const sealed = new Error("the vault is sealed");
  for (
    const event of [
      new PeerUpEvent(peer),
      new PeerDownEvent(peer, "heartbeat"),
      wrongCookie("10.0.0.3:9000"),
      new RefusedEvent("seeds", "seeds-failed", new Error("seeds failed", { cause: sealed })),
      new MalformedEvent(peer, "truncated"),
      new OverflowEvent(peer, 3),
      new MissedEvent(peer, "0011223344556677", 2),
      new MissedEvent(undefined),
      new UpEvent(1),
      new DownEvent({ sends: false, hears: false, unconfirmed: 0 }),
    ]
  ) source.dispatchEvent(event);
  assertEquals(lines, [
    "roomcast: b@10.0.0.2:9000 is linked (outgoing)",
    "roomcast: b@10.0.0.2:9000 is gone: it does not answer",
    "roomcast: refused: 10.0.0.3:9000: wrong-cookie: 10.0.0.3:9000 does not know our cookie",
    "roomcast: refused: seeds: seeds-failed: seeds failed: the vault is sealed",
    "roomcast: a malformed message (truncated) came from b@10.0.0.2:9000",
    "roomcast: the queue for b@10.0.0.2:9000 is full; 3 messages dropped so far",
    "roomcast: this node has missed 2 messages from b@10.0.0.2:9000",
    "roomcast: this node has missed messages from other nodes",
    "roomcast: the broker is within reach; 1 message dropped meanwhile",
    "roomcast: the broker is away",
  ]);
});

Deno.test("a text that a stranger has influenced stays on one line", () => {
  const { source, lines } = setUp();
  source.dispatchEvent(new RefusedEvent("x", "malformed", new Error("a\r\nb\u2028c\u001b[31m")));
  assertEquals(lines.length, 1);
  assert(!/[\p{Cc}\u2028]/u.test(lines[0]), lines[0]);
});

Deno.test("a cycle of causes is cut off", () => {
  const { source, lines } = setUp();
  const error = new Error("round");
  error.cause = error;
  source.dispatchEvent(new RefusedEvent("x", "unexpected", error));
  assertEquals(lines, ["roomcast: refused: x: unexpected: round"]);
});

Deno.test("a flood from one address is five lines, and one more each period", () => {
  const { source, lines, timers } = setUp();
  for (let i = 0; i < 1000; i++) source.dispatchEvent(wrongCookie("10.0.0.3:9000"));
  assertEquals(lines.length, 5);
  timers.advance(PERIOD_MS);
  assertEquals(lines.length, 6);
  assertStringIncludes(lines[5], "10.0.0.3:9000 does not know our cookie (and 994 more like this)");
  timers.advance(PERIOD_MS);
  assertEquals(lines.length, 6);
});

Deno.test("a flood that goes on is one line each period", () => {
  const { source, lines, timers } = setUp();
  for (let period = 0; period < 3; period++) {
    for (let i = 0; i < 100; i++) source.dispatchEvent(wrongCookie("10.0.0.3:9000"));
    timers.advance(PERIOD_MS);
  }
  assertEquals(lines.length, 5 + 3);
});

Deno.test("a flood from ever new ports is a bounded number of lines", () => {
  const { source, lines, timers } = setUp();
  for (let port = 1; port <= 5000; port++) source.dispatchEvent(wrongCookie(`10.0.0.3:${port}`));
  assert(lines.length <= 21, `${lines.length} lines`);
  timers.advance(PERIOD_MS);
  assert(lines.length <= 22, `${lines.length} lines`);
  assertStringIncludes(lines.at(-1) ?? "", "more like this");
});

Deno.test("no timer is left after a quiet period", () => {
  const { source, timers } = setUp();
  source.dispatchEvent(wrongCookie("10.0.0.3:9000"));
  assertEquals(timers.pending, 1);
  timers.advance(2 * PERIOD_MS);
  assertEquals(timers.pending, 0);
});

Deno.test("an event after a quiet period is again logged at once", () => {
  const { source, lines, timers } = setUp();
  source.dispatchEvent(wrongCookie("10.0.0.3:9000"));
  timers.advance(2 * PERIOD_MS);
  source.dispatchEvent(wrongCookie("10.0.0.3:9000"));
  assertEquals(lines.length, 2);
});

Deno.test("dispose writes the pending counts, and ends the log", () => {
  const { source, lines, timers, log } = setUp();
  for (let i = 0; i < 7; i++) source.dispatchEvent(wrongCookie("10.0.0.3:9000"));
  log[Symbol.dispose]();
  assertEquals(lines.length, 6);
  assertEquals(timers.pending, 0);
  source.dispatchEvent(new PeerUpEvent(peer));
  assertEquals(lines.length, 6);
});

Deno.test("a log with the platform's timers does not keep the process alive", async () => {
  const program = `
    import { logEvents } from ${JSON.stringify(import.meta.resolve("../../telemetry/mod.ts"))};
    const source = new EventTarget();
    logEvents(source);
    source.dispatchEvent(new Event("slow"));
  `;
  const command = new Deno.Command(Deno.execPath(), { args: ["eval", program] });
  const startedAt = performance.now();
  const { success, stdout } = await command.output();
  assert(success);
  assertStringIncludes(new TextDecoder().decode(stdout), "a socket is slow");
  assert(performance.now() - startedAt < PERIOD_MS);
});

Deno.test("logEvents refuses a value that is not an event target, and one that cannot write lines", () => {
  assertThrows(() => logEvents({} as never), TypeError, "source must have a method");
  assertThrows(() => logEvents(null as never), TypeError, "source must be an object");
  assertThrows(
    () => logEvents(new EventTarget(), "out" as never),
    TypeError,
    "log must be a function",
  );
});
