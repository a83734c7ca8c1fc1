/**
 * crossws on several servers: a chat that uses the path of the URL as the room.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=ws-1@127.0.0.1:9001 PORT=8001 deno run -A examples/crossws/server.ts
 * NODE_NAME=ws-2@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 deno run -A examples/crossws/server.ts
 * ```
 *
 * On Deno, crossws uses the sockets of `Deno.upgradeWebSocket`. Their handlers must not throw, because
 * that ends the process.
 *
 * @module
 */

// @ts-types="./crossws.d.ts"
import crossws from "crossws/adapters/deno";
import { logEvents, Rooms, startMesh } from "../../mod.ts";
import { meshSync } from "./mesh_sync.ts";

const MAX_MESSAGE_LENGTH = 10_000;

const mesh = await startMesh({
  name: Deno.env.get("NODE_NAME") ?? "ws-1@127.0.0.1:9001",
  cookie: Deno.env.get("ROOMCAST_COOKIE") ?? "",
  seeds: Deno.env.get("SEEDS")?.split(",").filter(Boolean),
});
logEvents(mesh);

const websockets = crossws({
  sync: meshSync(new Rooms({ backplane: mesh }), "crossws"),
  hooks: {
    upgrade(request) {
      const hasKey = request.headers.get("sec-websocket-key") !== null;
      const isRoom = /^\/\w{1,100}$/.test(URL.parse(request.url)?.pathname ?? "");
      return hasKey && isRoom ? undefined : new Response("WebSockets only\n", { status: 426 });
    },
    // crossws separates the subscribers of each path.
    open: (peer) => peer.subscribe("chat"),
    message(peer, message) {
      const { rawData } = message;
      const size = typeof rawData === "string" ? rawData.length : message.uint8Array().length;
      if (size > MAX_MESSAGE_LENGTH) return peer.close(1009);
      peer.publish("chat", typeof rawData === "string" ? rawData : message.uint8Array());
    },
  },
});

const server = Deno.serve({ port: Number(Deno.env.get("PORT") ?? 8001) }, (request, info) => {
  if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
    return websockets.handleUpgrade(request, info);
  }
  return new Response("WebSockets only\n", { status: 426 });
});

Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown(); // closes the sockets as well, with 1001
  await websockets.close();
  await mesh.shutdown();
});
