import { assertEquals } from "@std/assert";
import { encodeFrame, encodePeerList } from "../../codec/mod.ts";
import { encodeRoomBroadcast } from "../../mod.ts";
import { Link, type LinkListener } from "../../mesh/link.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { pipe } from "./_pipe.ts";

Deno.test("a fault of this node's own in the midst of a message ends the link, and not in silence", async () => {
  const timers = new FakeTimers();
  const { ends: [ours, theirs] } = pipe();
  const told: string[] = [];
  const listener: LinkListener = {
    onBroadcast: () => told.push("broadcast"),
    onPeerList: () => {
      throw new TypeError("a mistake");
    },
    onMalformed: () => told.push("malformed"),
    onOverflow: () => told.push("overflow"),
    onDown: (_link, reason) => told.push(reason),
  };
  const link = new Link({
    connection: ours,
    peer: { name: "b@h:1", incarnation: "01".repeat(8), features: 1 },
    direction: "incoming",
    limits: {
      maxMessageBytes: 512,
      maxQueuedBytes: 512,
      heartbeatIntervalMs: 10_000,
      heartbeatTimeoutMs: 5_000,
    },
    clock: timers,
    listener,
  });
  for (const payload of [encodeRoomBroadcast("r", "m"), encodePeerList(["c@h:1"])]) {
    await theirs.write(encodeFrame(payload));
  }
  await link.ended;
  assertEquals(told, ["broadcast", "failed"]);
  assertEquals(timers.pending, 0);
});
