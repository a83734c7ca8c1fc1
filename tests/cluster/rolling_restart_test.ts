/**
 * The rolling restart of docs/recipes.md: three nodes behind a TCP balancer are restarted one after the
 * other, by `rooms.drain()` and then `mesh.shutdown()`, while a fourth broadcasts without a pause.
 */

import { assert, assertEquals } from "@std/assert";
import { Rooms, startMesh } from "../../mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { Balancer } from "./_balancer.ts";
import { within } from "./_chat_cluster.ts";
import { ExampleProcess } from "./_example_process.ts";
import { ReconnectingClient } from "./_reconnecting_client.ts";
import { exampleOf } from "./_recipe.ts";

const NODES = 3;
const CLIENTS_OF_EACH_KIND = 6;
const MESSAGE_INTERVAL_MS = 5;

/** How long a message may have been under way when a connection closes. */
const MAX_LATENCY_MS = 1_000;

Deno.test("a client with two connections loses nothing in a rolling restart, and one with a single connection only its gaps", async () => {
  const example = await exampleOf("examples/hono/");
  await using speaker = await startMesh({ name: "speaker@127.0.0.1:0", cookie: COOKIE });
  const rooms = new Rooms({ backplane: speaker });
  const seeds = [speaker.name];
  const linked = async (name: string) => {
    while (!speaker.peers.some((peer) => peer.name === name)) {
      await new Promise((resolve) => speaker.addEventListener("peerup", resolve, { once: true }));
    }
  };

  const servers: ExampleProcess[] = [];
  try {
    for (let i = 0; i < NODES; i++) servers.push(await ExampleProcess.start(example, { seeds }));
    for (const { name } of servers) await within(`a link to ${name}`, linked(name));
    await using balancer = new Balancer(servers.map(({ port }) => port));

    let said = -1;
    const url = `ws://127.0.0.1:${balancer.port}${example.path}`;
    const makeClients = async (connections: number) => {
      const clients = Array.from({ length: CLIENTS_OF_EACH_KIND }, () => {
        return new ReconnectingClient(url, () => said);
      });
      for (const client of clients) {
        for (let i = 0; i < connections; i++) await within("a connection", client.connect());
      }
      return clients;
    };
    const [single, double] = [await makeClients(1), await makeClients(2)];
    const talking = setInterval(
      () => rooms.broadcast("lobby", String(++said)),
      MESSAGE_INTERVAL_MS,
    );
    try {
      for (const [i, old] of servers.entries()) {
        const { code } = await old.stop();
        assertEquals(code, 0, old.said.join("\n"));
        servers[i] = await ExampleProcess.start(example, { seeds, like: old });
        await within(`a link to ${old.name}`, linked(old.name));
      }
    } finally {
      clearInterval(talking);
    }
    const all = [...single, ...double];
    for (const client of all) await within("the last message", hearsAll(client, said));
    for (const client of all) await client.close();

    for (const client of double) {
      assertEquals(client.gaps, [], "a client was without any connection");
      assertEquals(missing(client, said), []);
    }
    const latest = Math.ceil(MAX_LATENCY_MS / MESSAGE_INTERVAL_MS);
    for (const client of single) {
      for (const { lastHeard, saidAtClose } of client.gaps) {
        assert(saidAtClose - lastHeard < latest);
      }
      const outside = missing(client, said).filter((number) => {
        return !client.gaps.some(({ lastHeard, saidAtOpen }) => {
          return lastHeard < number && number <= saidAtOpen;
        });
      });
      assertEquals(outside, [], "lost while there was a connection");
    }
    // Every socket has been closed by a drain at least once, or was never on a node that restarted.
    assert(single.some((client) => client.gaps.length > 0));
    assertEquals(new Set(all.flatMap((client) => [...client.codes])), new Set([1012]));
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
    rooms[Symbol.dispose]();
  }
});

function missing(client: ReconnectingClient, last: number): number[] {
  return Array.from({ length: last + 1 }, (_, i) => i).filter((number) =>
    !client.heard.has(number)
  );
}

/** Resolves when the last number has been heard. */
async function hearsAll(client: ReconnectingClient, last: number): Promise<void> {
  while (!client.heard.has(last)) await client.hearsNext();
}
