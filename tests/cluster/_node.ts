/**
 * A node as a process of its own: `_node.ts <name> <seed>...`. It broadcasts a numbered message
 * every few milliseconds, checks what it hears from the others, and says on its standard output
 * what happens, a JSON value a line. It ends with its standard input.
 */

import { Rooms, startMesh } from "../../mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";

const [name, ...seeds] = Deno.args;
const say = (value: Record<string, unknown>) => console.log(JSON.stringify(value));

const mesh = await startMesh({ name, cookie: COOKIE, seeds });
mesh.addEventListener("peerup", ({ type, peer }) => say({ type, peer: peer.name }));
mesh.addEventListener("peerdown", ({ type, peer, reason }) => {
  say({ type, peer: peer.name, reason });
});
const rooms = new Rooms<FakeSocket>({ backplane: mesh });
const socket = new FakeSocket();
/** The last number heard, by sender and incarnation. */
const last = new Map<string, number>();
socket.onSend = (message) => {
  socket.heard.length = 0;
  const [sender, incarnation, number] = String(message).split(" ");
  const key = `${sender} ${incarnation}`;
  const before = last.get(key);
  if (before === undefined) say({ type: "heard", peer: sender });
  else if (Number(number) <= before) say({ type: "fault", before, message });
  last.set(key, Number(number));
};
rooms.join(socket, "lobby");
let number = 0;
const timer = setInterval(() => {
  const message = `${mesh.name} ${mesh.incarnation} ${number++} ${"x".repeat(number % 5000)}`;
  rooms.broadcast("lobby", message, { except: socket });
}, 2);
say({ type: "started", peer: mesh.name });

for await (const _ of Deno.stdin.readable);
clearInterval(timer);
await mesh.shutdown();
