import { denoTcp } from "./deno_tcp.ts";
import { nodeTcp } from "./node_tcp.ts";
import { isDeno } from "./platform.ts";
import type { Transport } from "./transport.ts";

/** TCP without encryption. It uses `Deno.connect` on Deno, and `node:net` on Node.js and Bun. */
export const tcpTransport: Transport = isDeno ? denoTcp : nodeTcp;
