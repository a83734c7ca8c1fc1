/** What somebody without the cookie can do to a node: nothing that lasts, nothing that grows. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Address, type Mesh, startMesh, type Transport } from "../../mesh/mod.ts";
import { Simulation } from "../../testing/mod.ts";
import { encodeName } from "../../codec/mod.ts";
import { collect, COOKIE, linkedTo, nextEvent, startNode, startPlainNode } from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

/** The node still takes in one who knows the cookie. */
async function assertAccepts(mesh: Mesh, tls?: false): Promise<void> {
  await using peer = await startNode("peer", { tls });
  await peer.connect(mesh.name);
}

/** Resolves when the node has closed the connection. */
async function closed(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(4096);
  while (await connection.read(buffer).catch(() => null) !== null);
}

Deno.test("a stranger who sends nothing is closed when the time for the handshake is over", async () => {
  await using mesh = await startPlainNode("a", { handshakeTimeoutMs: 50 });
  const refused = nextEvent(mesh, "refused");
  using stranger = await Deno.connect(mesh.address);
  await closed(stranger);
  assertEquals((await refused).code, "timeout");
  await assertAccepts(mesh, false);
});

Deno.test("a stranger who sends byte after byte gains no time", async () => {
  await using mesh = await startPlainNode("a", { handshakeTimeoutMs: 100 });
  const refused = nextEvent(mesh, "refused");
  using stranger = await Deno.connect(mesh.address);
  const name = encodeName({ name: "x".repeat(200), creation: 1 });
  const dripping = (async () => {
    for (const byte of [name.length, 0, 0, 0, ...name]) {
      await stranger.write(Uint8Array.of(byte));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })().catch(() => {});
  await closed(stranger);
  assertEquals((await refused).code, "timeout");
  await dripping;
  await assertAccepts(mesh, false);
});

Deno.test("a stranger who sends random bytes is closed at once", async () => {
  await using mesh = await startPlainNode("a");
  for (let i = 0; i < 50; i++) {
    const refused = nextEvent(mesh, "refused");
    using stranger = await Deno.connect(mesh.address);
    const noise = crypto.getRandomValues(new Uint8Array(5000));
    noise[0] = 0; // TLS would begin with 22.
    noise[3] |= 1; // Some lengths would be credible; these are not.
    await stranger.write(noise);
    await closed(stranger);
    assertEquals((await refused).code, "malformed");
  }
  await assertAccepts(mesh, false);
});

Deno.test("a header above 4,096 bytes is refused before any of the payload is sent", async () => {
  await using mesh = await startPlainNode("a");
  const refused = nextEvent(mesh, "refused");
  using stranger = await Deno.connect(mesh.address);
  await stranger.write(Uint8Array.of(1, 16, 0, 0)); // 4,097
  await closed(stranger);
  assertEquals((await refused).code, "malformed");
  await assertAccepts(mesh, false);
});

Deno.test("a stranger who sends a valid NAME and then is silent is closed in time", async () => {
  await using mesh = await startPlainNode("a", { handshakeTimeoutMs: 50 });
  const refused = nextEvent(mesh, "refused");
  using stranger = await RawPeer.dial(mesh.address);
  const self = rawIdentity("z@127.0.0.1:1");
  await stranger.send(encodeName({ name: self.name, creation: 1, extension: self }));
  assert(await stranger.receive() !== null);
  assertEquals(await stranger.receive(), null);
  assertEquals((await refused).code, "timeout");
  await assertAccepts(mesh, false);
});

Deno.test("a NAME without a valid node name is refused", async () => {
  await using mesh = await startPlainNode("a");
  for (const name of ["", "nobody", "@127.0.0.1:1", "z@", "z@127.0.0.1:99999", "z z@h:1"]) {
    const refused = nextEvent(mesh, "refused");
    using stranger = await RawPeer.dial(mesh.address);
    await assertRejects(() => stranger.initiate(rawIdentity(name)));
    assertEquals((await refused).code, "invalid-address");
  }
});

Deno.test("a handshake of the Mesh runtime, without the extension, is refused by acceptor and initiator", async () => {
  await using mesh = await startPlainNode("a");
  const refused = nextEvent(mesh, "refused");
  using stranger = await RawPeer.dial(mesh.address);
  await stranger.send(encodeName({ name: "z@127.0.0.1:1", creation: 1 }));
  assertEquals(await stranger.receive(), null);
  assertEquals((await refused).code, "mesh-lang-handshake");
});

Deno.test("handshake messages in the wrong order, or too long by a byte, are refused", async () => {
  await using mesh = await startPlainNode("a");
  const self = rawIdentity("z@127.0.0.1:1");
  const name = encodeName({ name: self.name, creation: 1, extension: self });
  const wrong = [
    Uint8Array.of(3, ...new Uint8Array(64)),
    Uint8Array.of(4, ...new Uint8Array(32)),
    Uint8Array.of(...name, 0),
    name.slice(0, -1),
  ];
  for (const payload of wrong) {
    const refused = nextEvent(mesh, "refused");
    using stranger = await RawPeer.dial(mesh.address);
    await stranger.send(payload);
    assertEquals(await stranger.receive(), null);
    assertEquals((await refused).code, "malformed");
  }
});

Deno.test("silent connections push each other out, so a real peer gets in", async () => {
  await using mesh = await startPlainNode("a", { maxPendingHandshakes: 8 });
  const refused = collect(mesh, "refused");
  const strangers: Deno.TcpConn[] = [];
  for (let i = 0; i < 100; i++) strangers.push(await Deno.connect(mesh.address));
  await assertAccepts(mesh, false);
  // One more came in with the peer: all but the last seven have been pushed out by now.
  await Promise.all(strangers.slice(0, 93).map(closed));
  assertEquals(new Set(refused.map(({ code }) => code)), new Set(["too-many-handshakes"]));
  for (const stranger of strangers) stranger.close();
});

Deno.test("300 silent connections a second do not keep out a node that is 160 ms away", async () => {
  for (const addresses of [1, 40]) {
    const simulation = new Simulation({ seed: addresses });
    const { network } = simulation;
    const hosts = ["10.0.0.1", "10.0.0.2"].map((hostname) => simulation.startHost(hostname));
    for (const [from, to] of [[0, 1], [1, 0]]) {
      network.delay(hosts[from].hostname, hosts[to].hostname, { minMs: 80, maxMs: 80 });
    }
    const [a, b] = await Promise.all(hosts.map(({ hostname, options }) =>
      simulation.complete(
        startMesh({ name: `n@${hostname}:9000`, cookie: COOKIE, ...options }),
      )
    ));
    const strangers = Array.from(
      { length: addresses },
      (_, i) => simulation.startHost(`10.0.1.${i}`).options.transport,
    );
    const { signal } = new AbortController();
    const knock = (count: number) => {
      const target = { hostname: "10.0.0.1", port: 9000 };
      void strangers[count % addresses].connect(target, { signal });
      simulation.after(1_000 / 300, () => knock(count + 1));
    };
    knock(0);
    let pushedOut = 0;
    a.addEventListener(
      "refused",
      ({ code }) => pushedOut += Number(code === "too-many-handshakes"),
    );
    await simulation.run(2_000);
    assert(pushedOut > 200, `${pushedOut} strangers have been pushed out`);
    await simulation.complete(b.connect(a.name), { limitMs: 1_000 });
    assertEquals(a.peers.length, 1);
  }
});

Deno.test("of 1,500 connections a second, from one address or eight, a node takes on what its rate allows", async () => {
  for (const addresses of [1, 8]) {
    const simulation = new Simulation({ seed: addresses });
    const host = simulation.startHost("10.0.0.1");
    // Eight addresses use up all of the rate, so only hosts of known nodes get in.
    const seeds = addresses === 8 ? ["n@10.0.0.2:9000"] : [];
    const mesh = await simulation.complete(
      startMesh({ name: "n@10.0.0.1:9000", cookie: COOKIE, seeds, ...host.options }),
    );
    let begun = 0;
    mesh.addEventListener("refused", ({ code }) => begun += Number(code === "malformed"));
    const strangers = Array.from(
      { length: addresses },
      (_, i) => simulation.startHost(`10.0.1.${i}`).options.transport,
    );
    const { signal } = new AbortController();
    const knock = async (transport: Transport) => {
      const connection = await transport.connect(mesh.address, { signal });
      await connection.write(Uint8Array.of(1, 0, 0, 0, 255)).catch(() => {});
    };
    let count = 0;
    const flood = () => {
      void knock(strangers[count++ % addresses]);
      simulation.after(1_000 / 1_500, flood);
    };
    flood();
    await simulation.run(10_000);
    // Ten seconds' worth at once, three quarters of it for one address; then 20 a second, or 5.
    // Without TLS none of them is a handshake, so 20 times as many may begin.
    const expected = 20 * (addresses === 1 ? 150 + 50 : 200 + 200);
    assert(count >= 15_000 && begun > 0.98 * expected && begun <= expected, `${begun} of ${count}`);

    const peer = simulation.startHost("10.0.0.2");
    const other = await simulation.complete(
      startMesh({ name: "n@10.0.0.2:9000", cookie: COOKIE, ...peer.options }),
    );
    await simulation.complete(other.connect(mesh.name), { limitMs: 1_000 });
    assertEquals(mesh.peers.length, 1);
  }
});

Deno.test("a flood of TLS handshakes is cut off after a burst, and a known node gets in meanwhile", async () => {
  await using seed = await startNode("seed", { listen: { hostname: "127.0.0.1" } });
  await using mesh = await startNode("a", { maxHandshakesPerSecond: 1, seeds: [seed.name] });
  await linkedTo(mesh, [seed.name]);
  const refused = collect(mesh, "refused");
  // Strangers come from an address of their own.
  const flooding = await new Deno.Command(Deno.execPath(), {
    args: ["eval", FLOOD, String(mesh.address.port)],
    stdout: "piped",
  }).output();
  const [answered] = JSON.parse(new TextDecoder().decode(flooding.stdout));
  assert(answered >= 1 && answered <= 10 * 0.75 + 1 + 10, `${answered} handshakes were answered`);
  assert(refused.some(({ code }) => code === "too-many-handshakes"));
  await assertAccepts(mesh);
});

/** Begins 200 TLS handshakes from 127.0.0.2, and prints how many were answered. */
const FLOOD = `
import { connect } from "node:tls";
import { connect as connectTcp } from "node:net";
let answered = 0;
await Promise.all(Array.from({ length: 200 }, () => new Promise((resolve) => {
  const port = Number(Deno.args[0]);
  const socket = connectTcp({ host: "127.0.0.1", port, localAddress: "127.0.0.2" });
  const tls = connect({ socket, rejectUnauthorized: false });
  tls.on("secureConnect", () => { answered++; tls.destroy(); });
  for (const end of [tls, socket]) { end.on("error", () => {}); end.on("close", resolve); }
})));
console.log(JSON.stringify([answered]));
Deno.exit();
`;

Deno.test("a node is unchanged after ten thousand connections, and accepts a real peer", async () => {
  // None is turned away before the node has looked at it.
  await using mesh = await startNode("a", { maxHandshakesPerSecond: 100_000 });
  let refused = 0;
  mesh.addEventListener("refused", () => refused++);
  await flood(mesh.address, 500);
  const before = Deno.memoryUsage().rss;
  await flood(mesh.address, 10_000);
  const grown = Deno.memoryUsage().rss - before;
  assert(grown < 100 * 1024 * 1024, `${grown} bytes more than before`);
  await assertAccepts(mesh);
  assert(refused >= 10_000, `${refused} refusals reported`);
});

/** Opens connections that send a part of a handshake, 200 at a time, and waits for their end. */
async function flood(address: Address, count: number): Promise<void> {
  const self = rawIdentity("z@127.0.0.1:1");
  const name = encodeName({ name: self.name, creation: 1, extension: self });
  const one = async (i: number) => {
    using stranger = await Deno.connect(address);
    const bytes = Uint8Array.of(name.length, 0, 0, 0, ...name).subarray(0, i % 60);
    if (bytes.length > 0) await stranger.write(bytes).catch(() => {});
    if (i % 2 === 0) await closed(stranger);
  };
  for (let done = 0; done < count; done += 200) {
    const running = Array.from({ length: 200 }, (_, i) => one(done + i));
    // Those who wait to be closed are pushed out by the silent ones that come after them.
    const pushers: Deno.TcpConn[] = [];
    const all = Promise.all(running);
    let over = false;
    void all.then(() => over = true);
    while (!over) {
      pushers.push(await Deno.connect(address));
      if (pushers.length > 64) pushers.shift()?.close();
    }
    await all;
    for (const pusher of pushers) pusher.close();
  }
}
