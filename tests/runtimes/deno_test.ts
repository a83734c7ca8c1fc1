import { LIBRARY } from "./cases/all.ts";

// The cases of the endpoint run in tests/websocket.
for (const [name, run] of Object.entries(LIBRARY)) Deno.test(name, run);
