/**
 * Nitro on several servers. Its presets make the adapter of crossws without a sync driver, so this file
 * replaces the preset's entry:
 *
 * ```sh
 * npm install && npm run build
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=nitro-1@127.0.0.1:9001 PORT=8001 node .output/server/index.mjs
 * NODE_NAME=nitro-2@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 node .output/server/index.mjs
 * ```
 *
 * @module
 */

import { createServer } from "node:http";
import process from "node:process";
import crossws from "crossws/adapters/node";
import { useNitroApp, useNitroHooks } from "nitro/app";
import { toNodeHandler } from "srvx/node";
import { logEvents, Rooms, startMesh } from "../../mod.ts";
import { meshSync } from "../crossws/mesh_sync.ts";

const MAX_MESSAGE_BYTES = 10_000;

const nitro = useNitroApp();
const mesh = await startMesh({
  name: process.env.NODE_NAME ?? "nitro-1@127.0.0.1:9001",
  cookie: process.env.ROOMCAST_COOKIE ?? "",
  seeds: process.env.SEEDS?.split(",").filter(Boolean),
});
logEvents(mesh);

const refused = { upgrade: () => new Response("No WebSocket here\n", { status: 404 }) };
const websockets = crossws({
  // The handler of a route attaches its hooks to its response.
  resolve: async (request) => (await nitro.fetch(request)).crossws ?? refused,
  sync: meshSync(new Rooms({ backplane: mesh }), "crossws"),
  serverOptions: { maxPayload: MAX_MESSAGE_BYTES },
});

const server = createServer(toNodeHandler(nitro.fetch));
server.on("upgrade", (request, stream, head) => {
  // The client may hang up before the route has answered.
  stream.on("error", () => stream.destroy());
  websockets.handleUpgrade(request, stream, head);
});
server.listen(Number(process.env.PORT ?? 8001));

process.once("SIGTERM", async () => {
  server.close();
  await websockets.close(1012);
  await useNitroHooks().callHook("close");
  await mesh.shutdown();
});
