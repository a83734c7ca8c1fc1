/**
 * A server of its own process whose handler joins a socket and then awaits something, while its
 * clients hang up. Deno keeps such a socket in connecting, so that no test could end it. Prints what
 * is left.
 */

import { Rooms } from "../../rooms/mod.ts";

const CLIENTS = 5;

const rooms = new Rooms();
const joins: boolean[] = [];
let joined = Promise.withResolvers<void>();
const hungUp = Promise.withResolvers<void>();
const answered = Promise.withResolvers<void>();
let answers = 0;

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  joins.push(rooms.join(socket, "lobby"));
  joined.resolve();
  await hungUp.promise; // The user is looked up in a database, say.
  if (++answers === CLIENTS) answered.resolve();
  return response;
});
for (let i = 0; i < CLIENTS; i++) {
  const client = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  const request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
  await client.write(new TextEncoder().encode(request));
  await joined.promise;
  joined = Promise.withResolvers();
  client.close();
}
const counts = () => [rooms.roomCount, rooms.socketCount, rooms.members("lobby").length];
const before = counts();
hungUp.resolve();
await answered.promise;
console.log(JSON.stringify({ joins, before, after: counts() }));
Deno.exit();
