/** How nodes find each other, and find each other again. */

import { assert, assertEquals } from "@std/assert";
import { encodeGoodbye, encodeRoomBroadcast } from "../../codec/mod.ts";
import { startMesh, tcpTransport } from "../../mesh/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import {
  collect,
  COOKIE,
  fullyLinked,
  Inbox,
  linkedTo,
  nextEvent,
  startNode,
  startPlainNode,
} from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

Deno.test("five nodes form a full mesh from one seed, and each reaches all others once", async () => {
  const seed = await startNode("seed");
  const others = ["a", "b", "c", "d"].map((local) => startNode(local, { seeds: [seed.name] }));
  const nodes = [seed, ...await Promise.all(others)];
  await fullyLinked(nodes);

  const inboxes = nodes.map((node) => new Inbox(node));
  for (const node of nodes) {
    assertEquals(node.publish(encodeRoomBroadcast("lobby", node.name)), { peers: 4, dropped: 0 });
  }
  for (const [i, inbox] of inboxes.entries()) {
    const messages = await inbox.has(4);
    const expected = nodes.filter((_, j) => j !== i)
      .map((node) => encodeRoomBroadcast("lobby", node.name));
    assertEquals(messages.map(String).sort(), expected.map(String).sort());
  }
  await Promise.all(nodes.map((node) => node.shutdown()));
  // All that was sent has been written and read by now: there was no fifth message.
  assertEquals(inboxes.map((inbox) => inbox.messages.length), [4, 4, 4, 4, 4]);
});

Deno.test("a node among its own seeds does no harm", async () => {
  await using b = await startNode("b");
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using a = await startMesh({
    name: `a@127.0.0.1:${port}`,
    cookie: COOKIE,
    seeds: [`127.0.0.1:${port}`, `localhost:${port}`, b.name],
  });
  const refused = collect(a, "refused");
  await fullyLinked([a, b]);
  assertEquals(refused, []);
});

Deno.test("a goodbye is reported as peerdown at once, and a learnt node is not redialled", async () => {
  await using a = await startPlainNode("a");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity(`z@127.0.0.1:${listener.addr.port}`));
  const down = nextEvent(a, "peerdown");
  await raw.send(encodeGoodbye());
  assertEquals((await down).reason, "goodbye");

  // Another peer that breaks off instead is redialled; by then, the first would have been too.
  using listener2 = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const raw2 = await RawPeer.dial(a.address);
  await raw2.initiate(rawIdentity(`y@127.0.0.1:${listener2.addr.port}`));
  raw2.close();
  const redial = await listener2.accept();
  redial.close();
  const dialled = await Promise.race([
    listener.accept().then(() => true),
    nextEvent(a, "refused").then(() => false),
  ]);
  assertEquals(dialled, false);
});

Deno.test("a lost node is redialled until it is back", async () => {
  await using a = await startPlainNode("a");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity(`z@127.0.0.1:${listener.addr.port}`));
  const up = nextEvent(a, "peerup", ({ peer }) => peer.name.startsWith("z@"));
  raw.close();
  using again = new RawPeer(await listener.accept());
  await again.accept(rawIdentity(`z@127.0.0.1:${listener.addr.port}`));
  assertEquals((await up).peer.direction, "outgoing");
});

Deno.test("a seed that says goodbye is linked again when it is back", async () => {
  const seed = await startNode("seed");
  await using a = await startNode("a", { seeds: [seed.name] });
  await fullyLinked([seed, a]);
  const { name, address: { port } } = seed;
  await seed.shutdown();
  await linkedTo(a, []);
  await using back = await startMesh({ name, cookie: COOKIE, listen: { port } });
  await fullyLinked([back, a]);
  assert(back.incarnation !== seed.incarnation);
});

Deno.test("seeds given as a function are asked again while the node runs", async () => {
  await using b = await startNode("b");
  let asked = 0;
  await using a = await startNode("a", {
    seeds: () => {
      asked++;
      if (asked === 1) throw new Error("the resolver is not up yet");
      return Promise.resolve([b.name, "not an address"]);
    },
  });
  const refused = collect(a, "refused");
  await fullyLinked([a, b]);
  assertEquals(asked, 2);
  assertEquals(refused.map(({ code }) => code), ["seeds-failed", "invalid-address"]);
});

Deno.test("nodes behind one host name find each other, although each is first led to itself", async () => {
  const names = ["127.0.0.2", "127.0.0.3"];
  const probe = Deno.listen({ hostname: names[0], port: 0 });
  const { port } = probe.addr;
  probe.close();
  const nodes = await Promise.all(names.map((own, i) => {
    let turn = i;
    return startMesh({
      name: `n${i}@${own}:${port}`,
      cookie: COOKIE,
      seeds: [`all.nodes.test:${port}`],
      transport: {
        ...tcpTransport,
        connect: (address, options) =>
          tcpTransport.connect({ ...address, hostname: names[turn++ % 2] }, options),
      },
    });
  }));
  await fullyLinked(nodes);
  await Promise.all(nodes.map((node) => node.shutdown()));
});

Deno.test("a seeds function that does not answer is asked again", async () => {
  await using b = await startNode("b");
  const timers = new FakeTimers();
  let asked = 0;
  const a = await startNode("a", {
    clock: timers,
    seeds: () => ++asked === 1 ? new Promise<string[]>(() => {}) : [b.name],
  });
  const failed = nextEvent(a, "refused");
  // Time passes whenever the node waits for it, and not before.
  const passing = setInterval(() => timers.advance(500), 1);
  assertEquals((await failed).code, "seeds-failed");
  await linkedTo(a, [b.name]);
  assertEquals(asked, 2);
  clearInterval(passing);
  await a.shutdown();
  assertEquals(timers.pending, 0);
});

Deno.test("a node that waits for a place is dialled when one is free, and not before", async () => {
  await using b = await startNode("b");
  await using c = await startNode("c");
  await using a = await startNode("a", { maxPeers: 1, seeds: [b.name, c.name] });
  const refused = [a, b, c].map((node) => collect(node, "refused"));
  const { peer } = await nextEvent(a, "peerup");
  const [linked, waiting] = peer.name === b.name ? [b, c] : [c, b];
  await linked.shutdown();
  await linkedTo(a, [waiting.name]);
  // A dial beside the one link would have been refused.
  assertEquals(refused.flat(), []);
});

Deno.test("seeds that are not strings are refused one by one, and the others are dialled", async () => {
  await using b = await startNode("b");
  const seeds = () => [42, b.name, undefined] as unknown as string[];
  await using a = await startNode("a", { seeds });
  const refused = collect(a, "refused");
  await linkedTo(a, [b.name]);
  assertEquals(refused.map(({ address, code }) => [address, code]), [
    ["42", "invalid-address"],
    ["undefined", "invalid-address"],
  ]);
});
