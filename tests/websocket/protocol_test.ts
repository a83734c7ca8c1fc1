import { PROTOCOL } from "./cases/protocol.ts";

for (const [name, run] of Object.entries(PROTOCOL)) Deno.test(name, run);
