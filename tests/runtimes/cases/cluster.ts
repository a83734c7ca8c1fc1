/** Nodes of this runtime in one process, over real sockets. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type Mesh, type MeshOptions, startMesh } from "../../../mesh/mod.ts";
import { Presence } from "../../../presence/mod.ts";
import { Rooms } from "../../../rooms/mod.ts";
import {
  assertMeshError,
  collect,
  COOKIE,
  fullyLinked,
  nextEvent,
  startNode,
} from "../../mesh/_cluster.ts";
import { FakeSocket } from "../../rooms/_fake_socket.ts";
import type { Cases } from "../../websocket/cases/_cases.ts";

/** Starts nodes that know one another's addresses, runs `body`, and shuts all down. */
async function cluster(
  options: Partial<MeshOptions>,
  body: (nodes: Mesh[]) => Promise<void>,
): Promise<void> {
  const nodes: Mesh[] = [];
  try {
    for (const local of ["a", "b", "c"]) {
      const seeds = nodes.slice(0, 1).map(({ name }) => name);
      nodes.push(await startNode(local, { ...options, seeds }));
    }
    await fullyLinked(nodes);
    await body(nodes);
  } finally {
    await Promise.all(nodes.map((node) => node.shutdown()));
  }
}

/** What is heard in a room on a node, with a way to wait for it. */
class Listener {
  readonly heard: (string | Uint8Array)[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(rooms: Rooms<FakeSocket>, room: string) {
    rooms.listen(room, (message) => {
      this.heard.push(message);
      this.#changed.resolve();
    });
  }

  async hears(count: number): Promise<(string | Uint8Array)[]> {
    while (this.heard.length < count) {
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
    return this.heard;
  }
}

function pem(file: string): string {
  return readFileSync(new URL(`../../testdata/tls/${file}`, import.meta.url), "utf8");
}

function kindOf({ tls }: Partial<MeshOptions>): string {
  return tls === false ? "plain TCP" : "TLS";
}

function casesOf(options: Partial<MeshOptions>): Cases {
  const kind = kindOf(options);
  return {
    [`${kind}: three nodes form a mesh and hear each other, whatever is said`]: () =>
      cluster(options, async (nodes) => {
        assert.ok(
          nodes.every(({ peers }) => peers.every((peer) => peer.encrypted === (kind === "TLS"))),
        );
        const rooms = nodes.map((backplane) => new Rooms<FakeSocket>({ backplane }));
        const listeners = rooms.map((rooms) => new Listener(rooms, "lobby"));
        await Promise.all(nodes.map((node) => node.ready()));
        const said = ["", "héllo 🎉", "x".repeat(3_000_000), new Uint8Array(300_000).fill(7)];
        for (const message of said) {
          const { peers, dropped } = rooms[0].broadcast("lobby", message);
          assert.deepEqual([peers, dropped], [2, 0]);
        }
        rooms[1].broadcast(["other", "lobby"], "from b");
        for (const listener of listeners) {
          const heard = await listener.hears(said.length + 1);
          // Between two senders there is no order.
          assert.deepEqual(heard.filter((message) => message !== "from b"), said);
          assert.equal(heard.length, said.length + 1);
        }
      }),

    [`${kind}: a node that leaves says goodbye after its last words, and returns by its name`]:
      () =>
        cluster(options, async (nodes) => {
          const [a, , c] = nodes;
          const rooms = nodes.map((backplane) => new Rooms<FakeSocket>({ backplane }));
          const onA = new Listener(rooms[0], "lobby");
          // Both ways are busy, so c has not read everything when it leaves.
          for (let i = 0; i < 200; i++) rooms[0].broadcast("lobby", "x".repeat(10_000));
          for (let i = 0; i < 200; i++) rooms[2].broadcast("lobby", `${i} ${"y".repeat(10_000)}`);
          const down = nextEvent(a, "peerdown");
          await c.shutdown();
          assert.deepEqual([(await down).peer.name, (await down).reason], [c.name, "goodbye"]);
          const words = onA.heard.map(String).filter((message) => message[0] !== "x");
          assert.deepEqual(words.map((word) => parseInt(word)), [...Array(200).keys()]);
          nodes[2] = await startMesh({ name: c.name, cookie: COOKIE, ...options, seeds: [a.name] });
          await fullyLinked(nodes);
          const again = new Rooms({ backplane: nodes[2] });
          again.broadcast("lobby", "back");
          assert.equal((await onA.hears(401)).at(-1), "back");
        }),

    [`${kind}: with interest in the room, only its nodes get a broadcast`]: () =>
      cluster({ ...options, interest: "room" }, async (nodes) => {
        const rooms = nodes.map((backplane) => new Rooms<FakeSocket>({ backplane }));
        const onB = new Listener(rooms[1], "b's");
        await Promise.all(nodes.map((node) => node.ready()));
        assert.equal(rooms[0].broadcast("b's", "hello").peers, 1);
        assert.deepEqual(await onB.hears(1), ["hello"]);
        assert.equal(nodes[2].totals.received, 0);
      }),

    [`${kind}: presence agrees on every node, and forgets who is gone`]: () =>
      cluster(options, async (nodes) => {
        const rooms = nodes.map((backplane) => new Rooms<FakeSocket>({ backplane }));
        const presences = rooms.map((rooms) => new Presence<{ color: string }>(rooms));
        await Promise.all(presences.map((presence) => presence.ready()));
        const [onA, onB] = presences;
        const next = (type: "join" | "leave") =>
          new Promise<string>((resolve) =>
            onA.addEventListener(type, ({ id }) => resolve(id), { once: true })
          );
        const joined = next("join");
        onB.track(new FakeSocket(), "lobby", "bob", { color: "blue" });
        assert.equal(await joined, "bob");
        assert.deepEqual(onA.list("lobby"), [{ id: "bob", metas: [{ color: "blue" }] }]);
        const left = next("leave");
        await nodes[1].shutdown();
        assert.equal(await left, "bob");
        assert.equal(onA.count("lobby"), 0);
        for (const presence of presences) presence[Symbol.dispose]();
      }),

    [`${kind}: a node with another cookie is refused, and both sides say so`]: async () => {
      const a = await startNode("a", options);
      const b = await startNode("b", { ...options, cookie: "another secret of 32 bytes, almost" });
      const refused = nextEvent(a, "refused");
      await assertMeshError("not-accepted", b.connect(a.name));
      assert.equal((await refused).code, "wrong-cookie");
      await Promise.all([a.shutdown(), b.shutdown()]);
    },
  };
}

export const CLUSTER: Cases = {
  ...casesOf({}),
  ...casesOf({ tls: false }),

  "a node with TLS and one without both report the mismatch": async () => {
    const [a, b] = await Promise.all([startNode("a"), startNode("b", { tls: false })]);
    const refusals = [collect(a, "refused"), collect(b, "refused")];
    await assertMeshError("peer-speaks-plain", a.connect(b.name));
    await assertMeshError("peer-speaks-tls", b.connect(a.name));
    assert.deepEqual(refusals.map(([event]) => event.code), [
      "peer-speaks-plain",
      "peer-speaks-tls",
    ]);
    await Promise.all([a.shutdown(), b.shutdown()]);
  },

  "certificates of an operator's own are verified": async () => {
    const pair = { cert: pem("loopback.pem"), key: pem("loopback.key") };
    const tls = { ...pair, caCerts: [pem("ca.pem")] };
    await cluster({ tls }, async ([a]) => {
      const start = (tls: MeshOptions["tls"]) => startNode("d", { tls });
      const others: [MeshOptions["tls"], string | undefined][] = [
        [{ ...pair, caCerts: [pem("other_ca.pem")] }, "untrusted-certificate"],
        [{ ...tls, serverName: "elsewhere.internal" }, "untrusted-certificate"],
        [pair, "untrusted-certificate"],
        [tls, undefined],
      ];
      for (const [tls, code] of others) {
        const d = await start(tls);
        if (code === undefined) await d.connect(a.name);
        else await assertMeshError(code, d.connect(a.name));
        await d.shutdown();
      }
      // The certificate that a node makes for itself is by no authority.
      const own = await startNode("e");
      await assertMeshError("untrusted-certificate", a.connect(own.name));
      await own.shutdown();
    });
  },

  "a taken port is an error with its cause": async () => {
    const a = await startNode("a");
    const error = await assertMeshError(
      "listen-failed",
      startMesh({ name: a.name, cookie: COOKIE }),
    );
    assert.equal((error.cause as { code?: unknown }).code, "EADDRINUSE");
    await a.shutdown();
  },
};
