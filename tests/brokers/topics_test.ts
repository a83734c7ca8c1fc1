import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ENVELOPE_BYTES, open, seal } from "../../brokers/_envelope.ts";
import { clusterTopic, roomTopic } from "../../brokers/_topics.ts";
import { FrameError } from "../../mod.ts";
import { text } from "../_arbitraries.ts";

Deno.test("topics: characters with a meaning to a broker are encoded", () => {
  assertEquals(clusterTopic("chat"), "roomcast.chat");
  const topics = ["lobby", "", "a b", "*", ">", "a.b", "{x}", "=", "é", "部"].map((room) =>
    roomTopic("c", room).slice("roomcast.c.".length)
  );
  assertEquals(topics, [
    ...["lobby", "=", "a=20b", "=2A", "=3E", "a=2Eb", "=7Bx=7D", "=3D", "=C3=A9", "=E9=83=A8"],
  ]);
});

Deno.test("topics: names of 200 characters are spelt out, and longer ones are hashed", () => {
  const length = (room: string) => roomTopic("c", room).length - "roomcast.c.".length;
  assertEquals([length("x".repeat(200)), length("x".repeat(201))], [200, 66]);
  assertEquals([length(" ".repeat(66)), length(" ".repeat(67))], [198, 66]);
  assertEquals(length("x".repeat(65_535)), 66);
  assert(roomTopic("c", "x".repeat(201)).startsWith("roomcast.c.=h"));
});

Deno.test("topics: different rooms have different topics, with safe characters only", () => {
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(text, (room) => {
      const topic = roomTopic("c", room);
      assert(/^roomcast\.c\.[\w=-]{1,200}$/.test(topic), topic);
      const before = seen.get(topic);
      assert(before === undefined || before === room);
      seen.set(topic, room);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("envelopes: an envelope is the tag, the sender's id and the message", () => {
  const sender = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  assertEquals(
    seal(sender, Uint8Array.of(0x1e, 9)),
    Uint8Array.of(0xe1, 1, 2, 3, 4, 5, 6, 7, 8, 0x1e, 9),
  );
});

Deno.test("envelopes: every node but the sender can open an envelope", () => {
  const identity = fc.uint8Array({ minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(identity, identity, fc.uint8Array(), (sender, other, message) => {
      const payload = seal(sender, message);
      assertEquals(payload.length, ENVELOPE_BYTES + message.length);
      assertEquals(open(payload, sender), undefined);
      if (String(sender) !== String(other)) assertEquals(open(payload, other), message);
    }),
  );
});

Deno.test("envelopes: a short envelope is truncated, and another first byte is a wrong tag", () => {
  const self = new Uint8Array(8);
  const code = (bytes: number[]) =>
    (assertThrows(() => open(Uint8Array.from(bytes), self), FrameError) as FrameError).code;
  assertEquals(code([]), "truncated");
  assertEquals(code([0xe1, 1, 2, 3, 4, 5, 6, 7]), "truncated");
  assertEquals(code([0x1e, 0, 0, 0, 0, 0, 0]), "wrong-tag");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
      try {
        open(bytes, self);
      } catch (error) {
        assert(error instanceof FrameError);
      }
    }),
  );
});
