import { HANDSHAKE } from "./cases/handshake.ts";

for (const [name, run] of Object.entries(HANDSHAKE)) Deno.test(name, run);
