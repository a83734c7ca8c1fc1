import { SOCKET } from "./cases/socket.ts";

for (const [name, run] of Object.entries(SOCKET)) Deno.test(name, run);
