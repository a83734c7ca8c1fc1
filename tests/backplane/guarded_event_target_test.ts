import { assertEquals } from "@std/assert";
import {
  type Backplane,
  GuardedEventTarget,
  MissedEvent,
  NodeDownEvent,
  type PublishReport,
  Receivers,
} from "../../backplane/mod.ts";
import { Presence } from "../../presence/mod.ts";
import { Rooms } from "../../rooms/mod.ts";

interface Events {
  missed: MissedEvent;
}

function setUp() {
  const errors: unknown[] = [];
  const listened = new Set<string>();
  const target = new GuardedEventTarget<Events>((error) => errors.push(error), listened);
  const miss = () => target.dispatchEvent(new MissedEvent(undefined));
  return { target, errors, listened, miss };
}

Deno.test("an error of a listener, or of its promise, goes to onError, and the others hear the event", async () => {
  const { target, errors, miss } = setUp();
  const [thrown, rejected] = [new Error("thrown"), new Error("rejected")];
  let heard = 0;
  target.addEventListener("missed", () => {
    throw thrown;
  });
  target.addEventListener("missed", () => Promise.reject(rejected));
  target.addEventListener("missed", () => heard++);
  miss();
  await Promise.resolve();
  assertEquals([errors, heard], [[thrown, rejected], 1]);
});

Deno.test("a listener is added once, is called as its target's method, and can be removed", () => {
  const { target, miss } = setUp();
  const calls: unknown[] = [];
  function listener(this: unknown) {
    calls.push(this);
  }
  const object = { handleEvent: listener };
  for (let i = 0; i < 2; i++) {
    target.addEventListener("missed", listener);
    target.addEventListener("missed", object);
  }
  miss();
  assertEquals(calls.map((self) => [self === target, self === object]), [
    [true, false],
    [false, true],
  ]);
  target.removeEventListener("missed", listener);
  target.removeEventListener("missed", object);
  miss();
  assertEquals(calls.length, 2);
});

Deno.test("options of a listener are kept, and a missing listener is not an error", () => {
  const { target, miss } = setUp();
  let calls = 0;
  target.addEventListener("missed", () => calls++, { once: true });
  target.addEventListener("missed", null);
  target.removeEventListener("missed", null);
  miss();
  miss();
  assertEquals(calls, 1);
});

Deno.test("an event target knows which types have been listened to", () => {
  const { target, listened } = setUp();
  assertEquals([...listened], []);
  target.addEventListener("missed", () => {});
  assertEquals([...listened], ["missed"]);
});

/** What somebody else may write: its events are those of any event target. */
class PlainBackplane extends EventTarget implements Backplane {
  readonly nodeId = "here";
  readonly #receivers = new Receivers();

  publish(message: Uint8Array, from?: Disposable): PublishReport {
    this.#receivers.deliverLocally(message, this.nodeId, from);
    return { peers: 0, dropped: 0 };
  }

  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable {
    return this.#receivers.add(receive);
  }
}

Deno.test("a backplane may be any event target, and Rooms and Presence hear its events", () => {
  const backplane = new PlainBackplane();
  const rooms = new Rooms({ backplane });
  using _presence = new Presence(rooms);
  const missed: unknown[] = [];
  rooms.addEventListener("missed", ({ from, count }) => missed.push([from, count]));
  backplane.dispatchEvent(new MissedEvent(undefined, "there", 3));
  backplane.dispatchEvent(new NodeDownEvent("there"));
  assertEquals(missed, [["there", 3]]);
});
