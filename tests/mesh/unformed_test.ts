/** Clusters that cannot form say why. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { encodePeerList } from "../../codec/mod.ts";
import { type Mesh, MeshError, startMesh, tcpTransport } from "../../mesh/mod.ts";
import { Simulation } from "../../testing/mod.ts";
import { collect, COOKIE, nextEvent, startNode, startPlainNode } from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

/** A loopback port that is free for now. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("a seed at this node's own address under another name is refused once, with own-address", async () => {
  const port = freePort();
  const name = `a@127.0.0.1:${port}`;
  const misnamed = `b@127.0.0.1:${port}`;
  for (const seeds of [[misnamed, misnamed], () => [misnamed]]) {
    await using a = await startMesh({ name, cookie: COOKIE, seeds });
    const refused = collect(a, "refused");
    const { address, code, cause } = await nextEvent(a, "refused");
    assertEquals([address, code], [misnamed, "own-address"]);
    assert(cause instanceof MeshError && cause.message.includes(name));
    assertEquals(refused.length, 1);
  }
});

Deno.test("a seed that leads to this node by another host is refused too, if another name must answer", async () => {
  const port = freePort();
  await using a = await startMesh({
    name: `a@127.0.0.1:${port}`,
    cookie: COOKIE,
    seeds: [`b@localhost:${port}`],
  });
  const { address, code, cause } = await nextEvent(a, "refused");
  assertEquals([address, code], [`localhost:${port}`, "own-address"]);
  assertEquals((cause as { cause?: MeshError }).cause?.code, "own-name");
});

Deno.test("names with a host that nobody can dial are refused by startMesh, as names and as seeds", async () => {
  const hosts = ["0.0.0.0", "[::]", "[0:0:0:0:0:0:0:0]", "[::0]", "0", "[::ffff:0.0.0.0]"];
  for (const host of hosts) {
    const named = () => startMesh({ name: `a@${host}:9000`, cookie: COOKIE });
    const error = await assertRejects(named, RangeError, "listen") as RangeError;
    assert(error.message.includes(host), error.message);
    const seeded = () => startNode("a", { seeds: [`b@${host}:9000`] });
    await assertRejects(seeded, RangeError, "use the option listen");
  }
  for (const host of ["10.0.0.0", "[::1]", "0.example", "[fe80::]"]) {
    const mesh = await startMesh({
      name: `a@${host}:0`,
      cookie: COOKIE,
      listen: { hostname: "127.0.0.1" },
    });
    await mesh.shutdown();
  }
});

Deno.test("undiallable names in a peer list are reported and not dialled, and the other names are dialled", async () => {
  await using a = await startPlainNode("a");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const refused = collect(a, "refused");
  const good = `good@127.0.0.1:${listener.addr.port}`;
  await raw.send(encodePeerList(["b@0.0.0.0:9000", "c@[::]:9000", good]));
  using dialled = await listener.accept();
  assert(dialled.remoteAddr.hostname === "127.0.0.1");
  assertEquals(refused.map(({ address, code }) => [address, code]), [
    ["b@0.0.0.0:9000", "invalid-address"],
  ]);
});

Deno.test("a peer whose name has an undiallable host is refused", async () => {
  await using a = await startPlainNode("a");
  const refused = nextEvent(a, "refused");
  using raw = await RawPeer.dial(a.address);
  await assertRejects(() => raw.initiate(rawIdentity("z@0.0.0.0:9000")));
  assertEquals((await refused).code, "invalid-address");
});

Deno.test("a name in a peer list at this node's own address is reported, once for each name", async () => {
  await using a = await startPlainNode("a");
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const refused = collect(a, "refused");
  const twins = ["b", "c"].map((local) => `${local}@127.0.0.1:${a.address.port}`);
  for (let i = 0; i < 3; i++) await raw.send(encodePeerList([...twins, a.name]));
  await nextEvent(a, "refused", ({ address }) => address === twins[1]);
  await raw.send(encodePeerList(["no name"]));
  await nextEvent(a, "refused", ({ code }) => code === "invalid-address");
  assertEquals(refused.map(({ address, code }) => [address, code]), [
    ...twins.map((name) => [name, "own-address"]),
    ["no name", "invalid-address"],
  ]);
});

Deno.test("a loopback name is warned about on a listener for other machines, but not on loopback", async () => {
  for (const hostname of ["0.0.0.0", "::"]) {
    for (const host of ["127.0.0.1", "localhost", "[::1]", "127.1.2.3"]) {
      await using a = await startMesh({
        name: `a@${host}:0`,
        cookie: COOKIE,
        listen: { hostname },
      });
      const { address, code, cause } = await nextEvent(a, "refused");
      assertEquals([address, code], [a.name, "loopback-name"]);
      assert(cause instanceof MeshError && cause.message.includes(hostname));
    }
  }
  await using local = await startNode("a");
  await using wide = await startMesh({
    name: "a@10.0.0.5:0",
    cookie: COOKIE,
    listen: { hostname: "0.0.0.0" },
  });
  const refused = [local, wide].map((mesh) => collect(mesh, "refused"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(refused, [[], []]);
});

Deno.test("two hosts with one name are reported on both sides", async () => {
  const simulation = new Simulation({ seed: 1 });
  const nodes: Mesh[] = [];
  const codes: Set<string>[] = [];
  for (const [i, hostname] of ["10.0.0.1", "10.0.0.2"].entries()) {
    const { options } = simulation.startHost(hostname);
    const mesh = await simulation.complete(startMesh({
      name: "n@127.0.0.1:9000",
      cookie: COOKIE,
      listen: { hostname },
      seeds: i === 0 ? [] : ["10.0.0.1:9000"],
      ...options,
    }));
    const seen = new Set<string>();
    mesh.addEventListener("refused", ({ code }) => seen.add(code));
    nodes.push(mesh);
    codes.push(seen);
  }
  await simulation.run(5_000);
  assertEquals(codes.map((seen) => seen.has("duplicate-name")), [true, true]);
  assertEquals(nodes.map(({ peers }) => peers.length), [0, 0]);
});

Deno.test("a seeds function that fails is reported with its error, and learns who asks", async () => {
  const sealed = new Error("vault is sealed");
  const asked: { name: string; signal: AbortSignal }[] = [];
  const a = await startNode("a", {
    seeds: (context) => {
      asked.push(context);
      return Promise.reject(sealed);
    },
  });
  const { address, code, cause } = await nextEvent(a, "refused");
  assertEquals([address, code], ["seeds", "seeds-failed"]);
  assertStrictEquals((cause as MeshError).cause, sealed);
  assert((cause as MeshError).message.includes("vault is sealed"));
  assertEquals([asked[0].name, asked[0].signal.aborted], [a.name, false]);
  await a.shutdown();
  assertEquals(asked[0].signal.aborted, true);
});

Deno.test("a seed that cannot be dialled for lack of a permission is reported with that cause", async () => {
  const denied = new Deno.errors.NotCapable('Requires net access to "10.0.0.1:9000"');
  const transport = { ...tcpTransport, connect: () => Promise.reject(denied) };
  await using a = await startNode("a", { transport, seeds: ["10.0.0.1:9000"] });
  const { code, cause } = await nextEvent(a, "refused");
  assertEquals(code, "unreachable");
  assertStrictEquals((cause as MeshError).cause, denied);
});

Deno.test("a transport that throws instead of rejecting is reported like any other failure", async () => {
  const bug = new TypeError("undefined is not a function");
  const transport = {
    ...tcpTransport,
    connect: () => {
      throw bug;
    },
  };
  await using a = await startNode("a", { transport, seeds: ["10.0.0.1:9000"] });
  const { code, cause } = await nextEvent(a, "refused");
  assertEquals(code, "unreachable");
  assertStrictEquals((cause as MeshError).cause, bug);
});

Deno.test("tcpTransport rejects when it cannot listen, and does not throw", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listening = tcpTransport.listen({ hostname: "127.0.0.1", port: taken.addr.port });
  await assertRejects(() => listening, Deno.errors.AddrInUse);
});

Deno.test("a link that breaks reports the cause", async () => {
  await using a = await startPlainNode("a");
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const down = nextEvent(a, "peerdown");
  await raw.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
  const { reason, cause } = await down;
  assertEquals(reason, "frame-too-long");
  assert(cause instanceof Error);
});
