/**
 * Rooms beside an Express app, on one port.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=app-1@127.0.0.1:9001 PORT=8001 deno run -A examples/express/server.ts
 * NODE_NAME=app-2@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 deno run -A examples/express/server.ts
 * ```
 *
 * @module
 */

import { createServer } from "node:http";
// deno-lint-ignore no-import-prefix
import express from "npm:express@5.3.0";
import { acceptWebSocket, logEvents, Rooms, startMesh } from "../../mod.ts";
import { refuseUpgrade } from "../../websocket/mod.ts";

const mesh = await startMesh({
  name: Deno.env.get("NODE_NAME") ?? "app-1@127.0.0.1:9001",
  cookie: Deno.env.get("ROOMCAST_COOKIE") ?? "",
  seeds: Deno.env.get("SEEDS")?.split(",").filter(Boolean),
});
logEvents(mesh);
const rooms = new Rooms({ backplane: mesh });
