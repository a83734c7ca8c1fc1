/** Presence between real processes, on each backplane. */

import { assert, assertEquals } from "@std/assert";
import { Broker } from "../../examples/chat/broker.ts";
import { isSkipped } from "../brokers/_servers.ts";
import { freePort } from "../cluster/_process.ts";
import type { NodeOptions } from "./_node.ts";
import { PresenceProcess } from "./_process.ts";

type Kind = NodeOptions["kind"];

/** On a broker nothing but silence tells that a node is gone. */
const TIMEOUT_MS = 2_000;

/** Between an order and the last node's event, besides what the test's own processes need. */
const AGREE_MS = 1_000;

/** Three nodes, with the broker between them if there is one. */
class Cluster implements AsyncDisposable {
  readonly nodes: PresenceProcess[] = [];
  readonly #options: Omit<NodeOptions, "name">;
  readonly #names: readonly string[];
  readonly #broker: Broker | undefined;

  private constructor(kind: Kind, names: readonly string[], broker: Broker | undefined) {
    this.#names = names;
    this.#broker = broker;
    this.#options = {
      kind,
      seeds: names,
      port: broker?.port ?? 0,
      // The mesh has its own heartbeat. Shorter than by default, and long enough on a busy machine.
      timeoutMs: kind === "mesh" ? 20_000 : TIMEOUT_MS,
      heartbeatIntervalMs: 1_000,
      heartbeatTimeoutMs: 2_000,
    };
  }

  static async start(kind: Kind): Promise<Cluster> {
    const names = ["a", "b", "c"].map((local) => `${local}@127.0.0.1:${freePort()}`);
    const broker = kind === "mesh" ? undefined : await Broker.start(kind);
    const cluster = new Cluster(kind, names, broker);
    await Promise.all(names.map((_, i) => cluster.startNode(i)));
    return cluster;
  }

  /** Starts a node, or another in the place of one that has ended. */
  async startNode(i: number): Promise<void> {
    const node = new PresenceProcess({ ...this.#options, name: this.#names[i] });
    this.nodes[i] = node;
    await node.says(({ type }) => type === "ready");
  }

  /** Waits until every node, or each of some, sees the same in the lobby. */
  async agree(ids: string, nodes = this.nodes): Promise<void> {
    const wanted = ids.split(",").filter((id) => id !== "");
    for (const node of nodes) {
      for (;;) {
        const before = node.said.length;
        const now = await node.ids("lobby");
        if (now === wanted.join()) break;
        await node.says(({ type }) => type === "join" || type === "leave", before);
      }
    }
  }

  /** Ends the broker, and starts it again. */
  async outage(during: () => Promise<void>): Promise<void> {
    await this.#broker?.stop();
    await during();
    await this.#broker?.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.#broker?.[Symbol.asyncDispose]();
  }
}

/** Lines said so far, by each. */
function marks(nodes: readonly PresenceProcess[]): number[] {
  return nodes.map(({ said }) => said.length);
}

for (const kind of ["mesh", "nats", "redis"] as const) {
  const ignore = kind !== "mesh" && isSkipped(kind);
  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({ name: `${kind}: ${name}`, ignore, fn });

  test("all nodes agree within a second of a change", async () => {
    await using cluster = await Cluster.start(kind);
    const { nodes } = cluster;
    const [a, b] = nodes;
    for (let i = 0; i < 5; i++) {
      const from = marks(nodes);
      const startedAt = Date.now();
      await a.order({ track: 1, room: "lobby", id: "ann", meta: i });
      await b.order({ track: 1, room: "lobby", id: "ann" });
      await b.order({ track: 2, room: "lobby", id: "bob" });
      const joins = await Promise.all(
        nodes.map((node, n) =>
          node.says(({ type, id }) => type === "join" && id === "bob", from[n])
        ),
      );
      for (const { at } of joins) assert(at - startedAt < AGREE_MS, `${at - startedAt} ms`);
      await cluster.agree("ann,bob");
      const closing = marks(nodes);
      const closedAt = Date.now();
      await a.order({ close: 1 });
      await b.order({ close: 1 });
      await b.order({ close: 2 });
      for (const id of ["ann", "bob"]) {
        const leaves = await Promise.all(
          nodes.map((node, n) =>
            node.says((said) => said.type === "leave" && said.id === id, closing[n])
          ),
        );
        for (const { at } of leaves) assert(at - closedAt < AGREE_MS, `${at - closedAt} ms`);
      }
      await cluster.agree("");
    }
  });

  test("a node that is killed is gone, and its old ids stay gone when it is back", async () => {
    await using cluster = await Cluster.start(kind);
    const { nodes } = cluster;
    await nodes[0].order({ track: 1, room: "lobby", id: "ann" });
    await nodes[1].order({ track: 1, room: "lobby", id: "bob" });
    await cluster.agree("ann,bob");
    const others = nodes.slice(1);
    const from = marks(nodes);
    const killedAt = Date.now();
    await nodes[0].kill();
    for (const [i, node] of others.entries()) {
      const left = await node.says(({ type, id }) => type === "leave" && id === "ann", from[i + 1]);
      if (kind === "mesh") {
        // With its end, which the mesh reports: not after some time.
        const down = await node.says(({ type }) => type === "nodedown", from[i + 1]);
        assert(left.at - down.at < 100, `${left.at - down.at} ms after nodedown`);
      } else {
        const tookMs = left.at - killedAt;
        assert(tookMs > TIMEOUT_MS - 600 && tookMs < TIMEOUT_MS + AGREE_MS, `${tookMs} ms`);
      }
    }
    await cluster.agree("bob", others);
    await cluster.startNode(0);
    await nodes[0].order({ track: 1, room: "lobby", id: "cid" });
    await cluster.agree("bob,cid");
  });

  test("a node that leaves is gone at once", async () => {
    await using cluster = await Cluster.start(kind);
    const { nodes } = cluster;
    await nodes[0].order({ track: 1, room: "lobby", id: "ann" });
    await cluster.agree("ann");
    const from = marks(nodes);
    const stoppedAt = Date.now();
    await nodes[0].stop();
    for (const [i, node] of nodes.slice(1).entries()) {
      const { at } = await node.says(({ type }) => type === "leave", from[i + 1]);
      assert(at - stoppedAt < AGREE_MS, `${at - stoppedAt} ms`);
    }
  });

  test("a node that was frozen is back, and has not dropped the others", async () => {
    await using cluster = await Cluster.start(kind);
    const { nodes } = cluster;
    const ids = ["ann", "bob", "cid"];
    for (const [i, id] of ids.entries()) await nodes[i].order({ track: 1, room: "lobby", id });
    await cluster.agree("ann,bob,cid");
    const [frozen, ...others] = nodes;
    const from = marks(nodes);
    frozen.signal("SIGSTOP");
    for (const [i, node] of others.entries()) {
      await node.says(({ type, id }) => type === "leave" && id === "ann", from[i + 1]);
    }
    await others[0].order({ track: 2, room: "lobby", id: "dan" });
    await cluster.agree("bob,cid,dan", others);
    const wakeFrom = marks(nodes);
    frozen.signal("SIGCONT");
    for (const [i, node] of others.entries()) {
      await node.says(({ type, id }) => type === "join" && id === "ann", wakeFrom[i + 1]);
    }
    await cluster.agree("ann,bob,cid,dan");
    const dropped = frozen.said.slice(from[0]).filter(({ type }) => type === "leave");
    // On the mesh its links have ended, and with them what it knew of the others.
    if (kind !== "mesh") assertEquals(dropped, []);
  });

  if (kind !== "mesh") {
    test("a node without its broker sees its own ids, and all within a second of having it again", async () => {
      await using cluster = await Cluster.start(kind);
      const { nodes } = cluster;
      const ids = ["ann", "bob", "cid"];
      for (const [i, id] of ids.entries()) await nodes[i].order({ track: 1, room: "lobby", id });
      await cluster.agree("ann,bob,cid");
      let from: number[] = [];
      await cluster.outage(async () => {
        await Promise.all(nodes.map((node, i) => cluster.agree(ids[i], [node])));
        await nodes[0].order({ track: 2, room: "lobby", id: "dan" });
        await nodes[0].says(({ type, id }) => type === "join" && id === "dan");
        from = marks(nodes);
      });
      const ups = await Promise.all(
        nodes.map((node, i) => node.says(({ type }) => type === "up", from[i])),
      );
      const upAt = Math.max(...ups.map(({ at }) => at));
      await cluster.agree("ann,bob,cid,dan");
      const joins = nodes.flatMap(({ said }, i) => said.slice(from[i])).filter(({ type }) =>
        type === "join"
      );
      assertEquals(joins.length, 8);
      for (const { at } of joins) assert(at - upAt < AGREE_MS, `${at - upAt} ms`);
    });
  }

  test("a newcomer has everything when it is ready", async () => {
    await using cluster = await Cluster.start(kind);
    const { nodes } = cluster;
    await Promise.all(
      nodes.slice(1).map((node, i) => node.order({ fill: 5_000, from: 5_000 * i })),
    );
    await Promise.all(nodes.slice(1).map((node) => node.says(({ type }) => type === "filled")));
    await nodes[0].kill();
    await cluster.startNode(0);
    const { remote } = await nodes[0].says(({ type }) => type === "ready");
    assertEquals(remote, 10_000);
    const { list } = await nodes[0].report("room-7");
    assertEquals(list?.length, 10);
  });
}

Deno.test("mesh: two halves see their own ids, and agree within a second of being linked again", async () => {
  await using cluster = await Cluster.start("mesh");
  const { nodes } = cluster;
  const [a, ...others] = nodes;
  await a.order({ track: 1, room: "lobby", id: "ann" });
  await others[0].order({ track: 1, room: "lobby", id: "bob" });
  await cluster.agree("ann,bob");
  await a.order({ cut: true });
  await cluster.agree("ann", [a]);
  await cluster.agree("bob", others);
  await a.order({ track: 2, room: "lobby", id: "cid" });
  const from = marks(nodes);
  await a.order({ cut: false });
  const joined = (i: number, id: string) =>
    nodes[i].says((said) => said.type === "join" && said.id === id, from[i]);
  const linked = await Promise.all(
    nodes.map((node, i) => node.says(({ type }) => type === "peerup", from[i])),
  );
  const joins = [...await Promise.all([joined(0, "bob"), joined(1, "ann"), joined(2, "cid")])];
  const linkedAt = Math.max(...linked.map(({ at }) => at));
  for (const { at } of joins) assert(at - linkedAt < AGREE_MS, `${at - linkedAt} ms`);
  await cluster.agree("ann,bob,cid");
});
