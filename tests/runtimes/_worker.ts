/** A worker with a node of its own, which says what it hears to the thread that has started it. */

import { parentPort, workerData } from "node:worker_threads";
import { startMesh, workerSeeds } from "../../mesh/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";

const { name, channel } = workerData as { name: string; channel: string };
const mesh = await startMesh({ name, cookie: COOKIE, seeds: workerSeeds({ channel }) });
const rooms = new Rooms({ backplane: mesh });
rooms.listen("lobby", (text) => {
  if (text === "end") void mesh.shutdown();
  else parentPort?.postMessage(`${mesh.name} heard ${text}`);
});
parentPort?.postMessage("started");
