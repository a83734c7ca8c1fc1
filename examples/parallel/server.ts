/**
 * Rooms on all cores, and on other machines: one process with a worker for each core.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=chat@127.0.0.1:9001 PORT=8001 \
 *   deno serve --parallel --allow-net --allow-env --port 8011 examples/parallel/server.ts
 * NODE_NAME=chat@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 \
 *   deno serve --parallel --allow-net --allow-env --port 8012 examples/parallel/server.ts
 * ```
 *
 * `deno serve --parallel` runs this module once for each core (or `DENO_JOBS` times). Each worker is a
 * node of the mesh: `workerSeeds` has the workers find each other, and `SEEDS` the other machines.
 *
 * WebSockets are at `PORT`, and the path is the room: `ws://127.0.0.1:8001/lobby`. The port of
 * `deno serve` answers a probe: 200 once the worker is connected to all others that it knows of.
 *
 * @module
 */

import { createServer } from "node:http";
import { Rooms, startMesh, workerSeeds } from "../../mod.ts";
import { acceptWebSocket } from "../../websocket/mod.ts";
