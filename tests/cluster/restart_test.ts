import { assertEquals } from "@std/assert";
import { freePort, NodeProcess } from "./_process.ts";

const script = new URL("./_node.ts", import.meta.url).pathname;

Deno.test("a node killed and restarted under load: the others go on, and it takes part again", async () => {
  const [a, b, c] = ["a", "b", "c"].map((local) => `${local}@127.0.0.1:${freePort()}`);
  const start = async (name: string) => {
    const node = new NodeProcess(script, [name, a]);
    await node.says({ type: "started" });
    return node;
  };
  const nodeA = await start(a);
  let nodeB = await start(b);
  const nodeC = await start(c);
  const said: Record<string, unknown>[] = [];
  for (let round = 0; round < 3; round++) {
    // Everybody hears everybody, b in an incarnation that was not heard before.
    for (const [node, peer] of [[nodeA, b], [nodeC, b], [nodeB, a], [nodeB, c]] as const) {
      await node.says({ type: "heard", peer });
    }
    nodeA.mark();
    nodeC.mark();
    await nodeB.kill();
    said.push(...nodeB.said);
    await nodeA.says({ type: "peerdown", peer: b });
    await nodeC.says({ type: "peerdown", peer: b });
    nodeB = await start(b);
  }
  await Promise.all([nodeA, nodeB, nodeC].map((node) => node.stop()));
  said.push(...nodeA.said, ...nodeB.said, ...nodeC.said);
  // No message came twice or out of order, and a and c have not lost each other.
  assertEquals(said.filter(({ type }) => type === "fault"), []);
  const lost = nodeA.said.filter(({ type, peer, reason }) =>
    type === "peerdown" && peer === c && reason !== "goodbye" && reason !== "shut-down"
  );
  assertEquals(lost, []);
});
