/** Two nodes with metrics, for the test with a collector. Ends with its standard input. */

import { metrics } from "@opentelemetry/api";
import { Rooms, startMesh } from "../../mod.ts";
import { instrument } from "../../telemetry/mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";

const a = await startMesh({ name: "a@127.0.0.1:0", cookie: COOKIE });
const b = await startMesh({ name: "b@127.0.0.1:0", cookie: COOKIE });
await a.connect(b.name);
const rooms = new Rooms({ backplane: a });
using _listener = rooms.listen("lobby", () => {});
using _metrics = instrument(metrics.getMeter("roomcast"), { mesh: a, rooms });
for (let i = 0; i < 3; i++) rooms.broadcast("lobby", "hello");

for await (const _ of Deno.stdin.readable);
await Promise.all([a.shutdown(), b.shutdown()]);
