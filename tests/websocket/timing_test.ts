import { assert, assertEquals } from "@std/assert";
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { systemTiming } from "../../websocket/_timing.ts";

function burn(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
}

Deno.test("work for the next turn comes after all work for the end of this one", async () => {
  const order: string[] = [];
  const done = Promise.withResolvers<void>();
  systemTiming.nextTurn(() => {
    order.push("next");
    systemTiming.nextTurn(() => {
      order.push("after");
      done.resolve();
    });
    systemTiming.endOfTurn(() => order.push("its end"));
  });
  systemTiming.endOfTurn(() => order.push("end"));
  await done.promise;
  assertEquals(order, ["end", "next", "its end", "after"]);
});

Deno.test("work that throws is reported, and keeps no other work from its turn", async () => {
  const errors: unknown[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    errors.push(event.error);
  };
  addEventListener("error", onError);
  const done = Promise.withResolvers<void>();
  systemTiming.nextTurn(() => {
    throw "next";
  });
  systemTiming.nextTurn(done.resolve);
  systemTiming.endOfTurn(() => {
    throw "end";
  });
  await done.promise;
  removeEventListener("error", onError);
  assertEquals(errors, ["end", "next"]);
});

Deno.test("streams are read while every turn has work at its end, and work for the next", async () => {
  const server = createServer((stream) =>
    stream.on("data", (data) => {
      if (data.length === 1) return void stream.write(data);
      // Of a client that sends more than there is time for.
      stream.pause();
      systemTiming.nextTurn(() => stream.resume());
    })
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const { port } = address;
  const [client, greedy] = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  await Promise.all([once(client, "connect"), once(greedy, "connect")]);
  greedy.write(new Uint8Array(16 * 1024 * 1024));
  let turns = 0;
  let isOver = false;
  const work = () => {
    if (isOver) return;
    turns++;
    burn(1);
    systemTiming.endOfTurn(() => burn(3));
    systemTiming.nextTurn(work);
  };
  work();
  const turnsEach: number[] = [];
  for (let i = 0; i < 20; i++) {
    const before = turns;
    client.write("x");
    await once(client, "data");
    turnsEach.push(turns - before);
  }
  isOver = true;
  client.destroy();
  greedy.destroy();
  server.close();
  await once(server, "close");
  const slowest = Math.max(...turnsEach);
  assert(slowest <= 12, `${slowest} turns until an answer was read`);
});
