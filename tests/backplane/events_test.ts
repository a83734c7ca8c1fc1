import { assertEquals } from "@std/assert";
import {
  MalformedEvent,
  MissedEvent,
  NodeDownEvent,
  OverflowEvent,
  RefusedEvent,
} from "../../backplane/mod.ts";

Deno.test("an event has a type of its own, and its facts as fields", () => {
  const peer = { name: "a@host:1" };
  const cause = new Error("no permission");
  const events = [
    new MissedEvent(peer, "node", 3),
    new MissedEvent(undefined),
    new NodeDownEvent("node"),
    new MalformedEvent(peer, "truncated"),
    new OverflowEvent(peer, 7),
    new RefusedEvent("topic", "subscribe-refused", cause),
  ];
  assertEquals(events.map((event) => [event.type, Object.fromEntries(Object.entries(event))]), [
    ["missed", { peer, from: "node", count: 3 }],
    ["missed", { peer: undefined, from: undefined, count: undefined }],
    ["nodedown", { nodeId: "node" }],
    ["malformed", { peer, code: "truncated" }],
    ["overflow", { peer, dropped: 7 }],
    ["refused", { address: "topic", code: "subscribe-refused", cause }],
  ]);
  for (const event of events) {
    assertEquals([event instanceof Event, event.cancelable], [true, false]);
  }
});
