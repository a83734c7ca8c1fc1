import { assertEquals, assertThrows } from "@std/assert";
import { Rooms, type RoomsOptions } from "../../rooms/mod.ts";
import { FakeBackplane } from "./_fake_backplane.ts";

const wrong = (options: Record<string, unknown>) => () => new Rooms(options as RoomsOptions);

Deno.test("an option of the wrong type is a TypeError that names it", () => {
  assertThrows(wrong({ maxBufferedBytes: "1" }), TypeError, "maxBufferedBytes must be a number");
  assertThrows(wrong({ maxMessageBytes: null }), TypeError, "got null");
  assertThrows(wrong({ slowSocket: true }), TypeError, 'slowSocket must be "close" or "skip"');
  assertThrows(wrong({ onError: "log" }), TypeError, "onError must be a function, got string");
  assertThrows(wrong({ timers: {} }), TypeError, "timers must have a method setTimeout");
});

Deno.test("options that are not an object are a TypeError, and not ignored", () => {
  const message = "options must be an object with";
  assertThrows(
    () => new Rooms(5 as never),
    TypeError,
    `${message} backplane and others, got number`,
  );
  assertThrows(() => new Rooms(null as never), TypeError, "got null");
  const rooms = new Rooms();
  assertThrows(() => rooms.broadcast("lobby", "x", "ann" as never), TypeError, `${message} except`);
  assertThrows(() => rooms.disconnect("lobby", 4001 as never), TypeError, `${message} code`);
  assertThrows(() => rooms.drain(5_000 as never), TypeError, "got number");
  assertEquals(rooms.draining, false);
});

Deno.test("a backplane without a method is a TypeError that names the method", () => {
  assertThrows(wrong({ backplane: {} }), TypeError, "backplane must have a method publish");
  assertThrows(wrong({ backplane: { publish() {} } }), TypeError, "have a method subscribe");
  assertThrows(wrong({ backplane: null }), TypeError, "backplane must be an object");
});

Deno.test("an option out of range is a RangeError with the option, the value and what is allowed", () => {
  assertThrows(wrong({ maxBufferedBytes: -1 }), RangeError, "maxBufferedBytes must be");
  assertThrows(wrong({ maxMessageBytes: 1.5 }), RangeError, "got 1.5");
  assertThrows(wrong({ maxBufferedBytes: Infinity }), RangeError, "whole number");
  assertThrows(
    wrong({ slowSocket: "drop" }),
    RangeError,
    'slowSocket must be "close" or "skip", got "drop"',
  );
});

Deno.test("limits of zero are allowed", () => {
  const rooms = new Rooms({ maxBufferedBytes: 0, maxMessageBytes: 0 });
  assertEquals(rooms.broadcast("lobby", "").sent, 0);
  assertThrows(() => rooms.broadcast("lobby", "x"), RangeError, "at most 0");
});

Deno.test("refused options leave no subscription", () => {
  const backplane = new FakeBackplane();
  assertThrows(wrong({ backplane, maxMessageBytes: -1 }), RangeError);
  assertEquals(backplane.subscriptions, 0);
});
