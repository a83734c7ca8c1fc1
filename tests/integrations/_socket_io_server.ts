/**
 * A Socket.IO server over a node of the mesh, on any runtime: `_socket_io_server.ts NAME SEED`. It puts
 * its clients in the room "red", prints its port, and ends with its standard input.
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
// @ts-types="../../examples/socket_io/socket_io.d.ts"
import { Server } from "socket.io";
import { meshAdapter } from "../../examples/socket_io/mesh_adapter.ts";
import { startMesh } from "../../mod.ts";

const [name, seed] = process.argv.slice(2);
const cookie = process.env.ROOMCAST_COOKIE ?? "";
const mesh = await startMesh({ name, cookie, seeds: [seed], interest: "room" });
await mesh.ready();
const server = createServer();
const io = new Server(server, { adapter: meshAdapter(mesh), transports: ["websocket"] });
io.on("connection", (socket) => {
  socket.data.name = name;
  socket.join("red");
});
io.on("settled?", (answer) => {
  if (typeof answer === "function") answer(name);
});
server.listen(0, "127.0.0.1", () => {
  console.log((server.address() as AddressInfo).port);
});
process.stdin.resume().on("end", async () => {
  await io.close();
  await mesh.shutdown();
});
