/** How nodes find each other: name servers, and workers of one process. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { getServers, setServers } from "node:dns";
import { Worker } from "node:worker_threads";
import { dnsSeeds, workerSeeds } from "../../../mesh/mod.ts";
import { isDeno } from "../../../mesh/platform.ts";
import { Rooms } from "../../../rooms/mod.ts";
import { fullyLinked, linkedTo, nextEvent, startNode } from "../../mesh/_cluster.ts";
import { type Records, startNameServer } from "../../mesh/_name_server.ts";
import type { Cases } from "../../websocket/cases/_cases.ts";

const HOST = "rooms.internal";

/** Runs `body` while the machine's name server is one of ours. */
async function withNameServer(
  body: (set: (records: Records) => void) => Promise<void>,
): Promise<void> {
  let records: Records = {};
  const server = await startNameServer(() => records);
  const before = getServers();
  setServers([`127.0.0.1:${server.port}`]);
  try {
    await body((value) => records = value);
  } finally {
    setServers(before);
    await server[Symbol.asyncDispose]();
  }
}

const DNS: Cases = {
  "dnsSeeds gives the addresses of a host, and keeps them when there are none": () =>
    withNameServer(async (set) => {
      const seeds = dnsSeeds(HOST, 9000);
      set({ A: [[10, 0, 0, 6], [10, 0, 0, 5]], AAAA: [[0xfd, 0xaa, ...Array(13).fill(0), 3]] });
      assert.deepEqual(await seeds(), ["10.0.0.5:9000", "10.0.0.6:9000", "[fdaa::3]:9000"]);
      set({ A: [[10, 0, 0, 7]] });
      assert.deepEqual(await seeds(), ["10.0.0.7:9000"]);
      for (const none of [{}, "no such name"] satisfies Records[]) {
        set(none);
        assert.deepEqual(await seeds(), ["10.0.0.7:9000"]);
        assert.deepEqual(await dnsSeeds(HOST, 9000)(), []);
      }
    }),

  "a name server that fails is reported, and the node finds the cluster afterwards": () =>
    withNameServer(async (set) => {
      const a = await startNode("a");
      set("failure");
      const b = await startNode("b", { seeds: dnsSeeds(HOST, a.address.port) });
      const { address, code } = await nextEvent(b, "refused");
      assert.deepEqual([address, code], ["seeds", "seeds-failed"]);
      set({ A: [[127, 0, 0, 1]] });
      await linkedTo(b, [a.name]);
      await Promise.all([a.shutdown(), b.shutdown()]);
    }),
};

const WORKERS: Cases = {
  "workers of one process find each other, and share a port": async () => {
    const channel = "tests/runtimes";
    const mesh = await startNode("main", { seeds: workerSeeds({ channel }) });
    const { name } = mesh;
    const rooms = new Rooms({ backplane: mesh });
    const workers = [1, 2].map(() =>
      new Worker(new URL("../_worker.ts", import.meta.url), { workerData: { name, channel } })
    );
    const ended = workers.map((worker) => once(worker, "exit"));
    await Promise.all(workers.map((worker) => once(worker, "message")));
    while (mesh.peers.length < 2) await nextEvent(mesh, "peerup");
    // In the clear, because all of it stays in the process.
    assert.deepEqual(mesh.peers.map(({ encrypted }) => encrypted), [false, false]);
    const heard = workers.map((worker) => once(worker, "message"));
    assert.equal(rooms.broadcast("lobby", "hello").peers, 2);
    const names = mesh.peers.map((peer) => peer.name).sort();
    const said = (await Promise.all(heard)).map(([message]) => message).sort();
    assert.deepEqual(said, names.map((name) => `${name} heard hello`));
    rooms.broadcast("lobby", "end");
    // Nothing of the node keeps a worker alive.
    await Promise.all(ended);
    await mesh.shutdown();
  },

  "nodes of one thread find each other by workerSeeds as well": async () => {
    const seeds = workerSeeds({ channel: "tests/runtimes, one thread" });
    const nodes = [await startNode("a", { seeds }), await startNode("b", { seeds })];
    await fullyLinked(nodes);
    await Promise.all(nodes.map((node) => node.shutdown()));
  },
};

// Deno asks name servers by a function of its own, which tests/mesh tries.
export const SEEDS: Cases = isDeno ? WORKERS : { ...DNS, ...WORKERS };
