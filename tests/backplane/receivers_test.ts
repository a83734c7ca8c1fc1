import { assertEquals, assertThrows } from "@std/assert";
import { Receivers } from "../../backplane/receivers.ts";
import { FrameError } from "../../codec/mod.ts";

const MESSAGE = Uint8Array.of(1, 2, 3);

/** Receivers with subscriptions that note what they hear. */
function listening(...names: string[]) {
  const errors: unknown[] = [];
  const receivers = new Receivers((error) => errors.push(error));
  const heard: string[] = [];
  const subscriptions = names.map((name) =>
    receivers.add((message, from) => {
      assertEquals(message, MESSAGE);
      heard.push(`${name} from ${from}`);
    })
  );
  return { receivers, errors, heard, subscriptions };
}

Deno.test("receivers: a message from another node goes to every subscription, in order", () => {
  const { receivers, heard } = listening("a", "b");
  receivers.deliver(MESSAGE, "node 1");
  receivers.deliver(MESSAGE);
  assertEquals(heard, [
    ...["a from node 1", "b from node 1"],
    ...["a from undefined", "b from undefined"],
  ]);
});

Deno.test("receivers: the publisher does not hear its own message, and the others on its node do", () => {
  const { receivers, heard, subscriptions } = listening("a", "b", "c");
  receivers.deliverLocally(MESSAGE, "here", subscriptions[1]);
  assertEquals(heard.splice(0), ["a from here", "c from here"]);
  receivers.deliverLocally(MESSAGE, "here");
  assertEquals(heard.length, 3);
});

Deno.test("receivers: a disposed subscription hears nothing, and disposing it twice is harmless", () => {
  const { receivers, heard, subscriptions } = listening("a", "b");
  subscriptions[0][Symbol.dispose]();
  subscriptions[0][Symbol.dispose]();
  receivers.deliver(MESSAGE, "x");
  assertEquals(heard, ["b from x"]);
});

Deno.test("receivers: a function that subscribes twice hears a message twice", () => {
  const receivers = new Receivers();
  let count = 0;
  const receive = () => void count++;
  const first = receivers.add(receive);
  receivers.add(receive);
  receivers.deliver(MESSAGE);
  assertEquals(count, 2);
  first[Symbol.dispose]();
  receivers.deliver(MESSAGE);
  assertEquals(count, 3);
});

Deno.test("receivers: a receiver that throws does not keep the message from the others", () => {
  const { receivers, errors, heard } = listening("a");
  const bug = new Error("a bug");
  receivers.add(() => {
    throw bug;
  });
  receivers.add(() => heard.push("last"));
  receivers.deliver(MESSAGE, "x");
  assertEquals([heard, errors], [["a from x", "last"], [bug]]);
});

Deno.test("receivers: the first FrameError is thrown after all receivers have heard", () => {
  const { receivers, errors, heard } = listening();
  const [first, second] = [0, 1].map((at) => new FrameError("truncated", at, "short"));
  for (const error of [first, second]) {
    receivers.add(() => {
      throw error;
    });
  }
  receivers.add(() => heard.push("last"));
  const thrown = assertThrows(() => receivers.deliver(MESSAGE), FrameError);
  assertEquals([thrown === first, heard, errors], [true, ["last"], []]);
});

Deno.test("receivers: a publisher gets no error from another subscription", () => {
  const { receivers, errors } = listening();
  const malformed = new FrameError("truncated", 0, "short");
  receivers.add(() => {
    throw malformed;
  });
  receivers.deliverLocally(MESSAGE, "here");
  assertEquals(errors, [malformed]);
});

Deno.test("receivers: a receiver may subscribe others and end itself and others", () => {
  const receivers = new Receivers();
  const heard: string[] = [];
  const once = receivers.add(() => {
    heard.push("once");
    once[Symbol.dispose]();
    next[Symbol.dispose]();
    receivers.add(() => heard.push("new"));
  });
  const next = receivers.add(() => heard.push("ended before its turn"));
  receivers.deliver(MESSAGE);
  // A new subscription hears the next message, so receivers that subscribe others come to an end.
  assertEquals(heard.splice(0), ["once"]);
  receivers.deliver(MESSAGE);
  assertEquals(heard, ["new"]);
});

Deno.test("receivers: a value that is not a function cannot subscribe", () => {
  const { receivers } = listening();
  assertThrows(() => receivers.add(1 as never), TypeError, "receive must be a function");
});
