/**
 * A node as a process of its own, on any runtime: `_node.ts <tls|plain> <name> <seed>...`. It
 * broadcasts a numbered message every few milliseconds, checks what it hears from the others, tracks
 * its own name, and says on its standard output what happens, a JSON value a line. It ends with its
 * standard input.
 */

import process from "node:process";
import { Rooms, startMesh } from "../../mod.ts";
import { Presence } from "../../presence/mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";

const [security, name, ...seeds] = process.argv.slice(2);
const say = (value: Record<string, unknown>) => console.log(JSON.stringify(value));

const tls = security === "tls" ? undefined : false;
const mesh = await startMesh({ name, cookie: COOKIE, seeds, tls });
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
const presence = new Presence(rooms);
presence.addEventListener("join", ({ type, id }) => say({ type, peer: id }));
presence.addEventListener("leave", ({ type, id }) => say({ type, peer: id }));
presence.track(socket, "lobby", mesh.name);
let number = 0;
const timer = setInterval(() => {
  const message = `${mesh.name} ${mesh.incarnation} ${number++} ${"x".repeat(number % 5000)}`;
  rooms.broadcast("lobby", message, { except: socket });
}, 2);
say({ type: "started", peer: mesh.name });

for await (const _ of process.stdin);
clearInterval(timer);
presence[Symbol.dispose]();
await mesh.shutdown();
