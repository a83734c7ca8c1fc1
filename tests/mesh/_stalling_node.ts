/**
 * A node of ours whose event loop stalls while it sends, for a test that is another process:
 * `_stalling_node.ts tls|plain`. Prints its name, and at the end what became of its links.
 */

import { encodeRoomBroadcast } from "../../mod.ts";
import { tcpTransport, tlsTransport, type Transport } from "../../mesh/mod.ts";
import { nextEvent, startNode } from "./_cluster.ts";

/** Longer than a node of the Mesh runtime waits for the rest of a frame. */
const STALL_MS = 200;
const STALLS = 10;
export const FRAMES = 1_500;
export const MESSAGE_BYTES = 1_000;

/** TCP, where a write that is not the first of a link may be followed by a stall. */
function stallingTransport(): Transport {
  let writes = 0;
  let stalls = 0;
  return {
    connect: (address, options) => tcpTransport.connect(address, options),
    async listen(address) {
      const listener = await tcpTransport.listen(address);
      return {
        ...listener,
        async accept() {
          const connection = await listener.accept();
          return {
            ...connection,
            write(bytes) {
              const written = connection.write(bytes);
              if (stalls < STALLS && bytes.length > MESSAGE_BYTES && ++writes % 3 === 0) {
                stalls++;
                for (const end = performance.now() + STALL_MS; performance.now() < end;);
              }
              return written;
            },
          };
        },
      };
    },
  };
}

if (import.meta.main) {
  const transport = Deno.args[0] === "plain"
    ? stallingTransport()
    : tlsTransport(undefined, stallingTransport());
  await using mesh = await startNode("a", { allowMeshLang: true, transport });
  const linked = nextEvent(mesh, "peerup");
  console.log(mesh.name);
  await linked;
  let downs = 0;
  mesh.addEventListener("peerdown", () => downs++);
  for (let i = 0; i < FRAMES; i++) {
    mesh.publish(encodeRoomBroadcast("r", `${i} `.padEnd(MESSAGE_BYTES, "x")));
  }
  while (mesh.peers.some(({ queuedBytes }) => queuedBytes > 0)) {
    await new Promise((resolve) => setTimeout(resolve));
  }
  console.log(`${downs} links lost, ${mesh.peers.length} up`);
  // Until the test has heard everything.
  await Deno.stdin.read(new Uint8Array(1));
}
