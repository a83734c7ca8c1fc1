import { nodeTcp } from "../../mesh/node_tcp.ts";
import { tlsTransport } from "../../mesh/mod.ts";
import { LIBRARY } from "./cases/all.ts";
import { transportCases } from "./cases/tcp.ts";

// The cases of the endpoint run in tests/websocket. The transport of the others runs on Deno too.
const cases = {
  ...LIBRARY,
  ...transportCases("TCP by node:net", nodeTcp),
  ...transportCases("TLS over node:net", tlsTransport(undefined, nodeTcp)),
};
for (const [name, run] of Object.entries(cases)) Deno.test(name, run);
