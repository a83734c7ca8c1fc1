import { assertEquals } from "@std/assert";
import { freePort, NodeProcess } from "./_process.ts";

const SCRIPT = decodeURIComponent(new URL("./_node.ts", import.meta.url).pathname);

/**
 * Three nodes under load, of which the second is killed and started again. `runtimes` are the programs
 * that run them, Deno where there is none.
 */
export async function killAndRestart(
  runtimes: readonly (string | undefined)[] = [],
  security: "tls" | "plain" = "tls",
): Promise<void> {
  const [a, b, c] = ["a", "b", "c"].map((local) => `${local}@127.0.0.1:${freePort()}`);
  const start = async (name: string, runtime?: string) => {
    const node = new NodeProcess(SCRIPT, [security, name, a], runtime);
    await node.says({ type: "started" });
    return node;
  };
  const nodeA = await start(a, runtimes[0]);
  let nodeB = await start(b, runtimes[1]);
  const nodeC = await start(c, runtimes[2]);
  const said: Record<string, unknown>[] = [];
  for (let round = 0; round < 3; round++) {
    // Everybody hears everybody and knows of everybody, of b in an incarnation that is new.
    for (const [node, peer] of [[nodeA, b], [nodeC, b], [nodeB, a], [nodeB, c]] as const) {
      await node.says({ type: "heard", peer });
      await node.says({ type: "join", peer });
    }
    nodeA.mark();
    nodeC.mark();
    await nodeB.kill();
    said.push(...nodeB.said);
    for (const node of [nodeA, nodeC]) {
      await node.says({ type: "peerdown", peer: b });
      await node.says({ type: "leave", peer: b });
    }
    nodeB = await start(b, runtimes[1]);
  }
  // Each hears that the others leave on purpose.
  nodeA.mark();
  await nodeC.stop();
  await nodeA.says({ type: "peerdown", peer: c, reason: "goodbye" });
  await Promise.all([nodeA, nodeB].map((node) => node.stop()));
  said.push(...nodeA.said, ...nodeB.said, ...nodeC.said);
  // No message came twice or out of order, and a and c have not lost each other.
  assertEquals(said.filter(({ type }) => type === "fault"), []);
  const lost = nodeA.said.filter(({ type, peer, reason }) =>
    type === "peerdown" && peer === c && reason !== "goodbye" && reason !== "shut-down"
  );
  assertEquals(lost, []);
}
