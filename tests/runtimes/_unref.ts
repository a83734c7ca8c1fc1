/** A node that is linked and has nothing else to do: `_unref.ts <tls|plain> <seed>`. */

import process from "node:process";
import { startMesh } from "../../mesh/mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";

const [security, seed] = process.argv.slice(2);
const tls = security === "tls" ? undefined : false;
const mesh = await startMesh({ name: "child@127.0.0.1:0", cookie: COOKIE, tls });
await mesh.connect(seed);
mesh.unref();
