/**
 * A node as a process of its own: `_node.ts <index> <sample ms> <name>...`. It serves rooms to
 * WebSocket clients, keeps the books of its links, and says what happens (`_protocol.ts`). SIGTERM has
 * it leave, and then end by itself: whatever is left running shows.
 */

import { lines } from "../../examples/chat/node_process.ts";
import { decodeRoomBroadcast, Rooms, startMesh } from "../../mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { addNumber, writeTally } from "./_hearing.ts";
import { LinkBook } from "./_link_book.ts";
import { type Command, guarded, memory, now, say } from "./_protocol.ts";
import { NODE_ITSELF, readStamp, stamped } from "./_stamp.ts";

/** How many names are seeds; the other nodes are learnt from these. */
const SEEDS = 2;

/** How often each node says something of its own, so that there is traffic on every link. */
const PULSE_MS = 25;
const PULSE_ROOM = "pulse";

/** What a node that leaves says in the end, all at once: its goodbye has to wait behind it. */
const LAST_WORDS = 100;
const LAST_WORD = "x".repeat(10_000);

/** What is shouted: more than `maxQueuedBytes` and the buffers of the system, a piece in each turn. */
const SHOUT_PIECES = 96;
const SHOUTS_IN_PIECE = 8;
const SHOUT = "x".repeat(64 * 1024);
/** Others than the one that is stopped keep up with so much in this time. */
const SHOUT_PAUSE_MS = 10;

/** What has been said in a room on this node so far. */
interface RoomTotals {
  /** Broadcasts of this node. */
  own: number;
  count: number;
  sum: number;
}

/** A client's connection. */
interface Visit {
  readonly client: number;
  readonly room: string;
  /** What it has not heard: what was said before it came, and what it has said itself. */
  count: number;
  sum: number;
  said: number;
}

const index = Number(Deno.args[0]);
const sampleMs = Number(Deno.args[1]);
const names = Deno.args.slice(2);

const mesh = await startMesh({ name: names[index], cookie: COOKIE, seeds: names.slice(0, SEEDS) });
const book = new LinkBook((node) => names[node]);
mesh.addEventListener("peerup", ({ peer }) => {
  guarded(() => say({ type: "up", record: book.up(peer, now()) }));
});
mesh.addEventListener("peerdown", ({ peer, reason }) => {
  guarded(() => say({ type: "down", record: book.down(peer, reason, now()) }));
});
mesh.addEventListener("overflow", ({ peer, dropped }) => {
  say({ type: "overflow", peer: peer.name, dropped });
});
mesh.addEventListener("malformed", ({ peer, code }) => {
  say({ type: "fault", text: `a message of ${peer.name} is malformed: ${code}` });
});

const rooms = new Rooms({ backplane: mesh });
const totals = new Map<string, RoomTotals>();
const visits = new Map<WebSocket, Visit>();
let allClosed = () => {};
let isLeaving = false;
let hasLeft = false;

function totalsOf(room: string): RoomTotals {
  let result = totals.get(room);
  if (result === undefined) totals.set(room, result = { own: 0, count: 0, sum: 0 });
  return result;
}

function countIn(room: RoomTotals, number: number): void {
  room.count++;
  room.sum = addNumber(room.sum, number);
}

// After `rooms`, so that the members have been sent it when it is counted.
mesh.subscribe((bytes) => {
  guarded(() => {
    const { room, message } = decodeRoomBroadcast(bytes);
    const stamp = readStamp(message);
    const first = book.heard(stamp, now());
    if (first) say({ type: "first", record: first });
    countIn(totalsOf(room), stamp.number);
  });
});

function broadcast(room: string, text: string, except?: WebSocket): number {
  const total = totalsOf(room);
  const number = book.next;
  const client = (except && visits.get(except)?.client) ?? NODE_ITSELF;
  const stamp = { node: index, life: mesh.incarnation, number, roomNumber: total.own++, client };
  book.sent(rooms.broadcast(room, stamped(stamp, text), { except }));
  countIn(total, number);
  return number;
}

function enter(socket: WebSocket, room: string, client: number): void {
  const { count, sum } = totalsOf(room);
  const visit: Visit = { client, room, count, sum, said: 0 };
  visits.set(socket, visit);
  rooms.join(socket, room);
  socket.onmessage = ({ data }) => {
    if (!visits.has(socket)) return;
    guarded(() => {
      const number = broadcast(room, data, socket);
      visit.said++;
      visit.count++;
      visit.sum = addNumber(visit.sum, number);
    });
  };
  if (isLeaving) dismiss(socket, visit);
}

/** Closes a connection with what its client has heard, if all is well. */
function dismiss(socket: WebSocket, { room, count, sum, said }: Visit): void {
  rooms.leaveAll(socket);
  visits.delete(socket);
  const total = totalsOf(room);
  const heard = { count: total.count - count, sum: (total.sum - sum) >>> 0, said };
  socket.close(1001, writeTally(heard));
}

let connections = 0;
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
  const [, life, room, client] = new URL(request.url).pathname.split("/");
  // A client may be late, and another process have its node's port.
  if (life !== mesh.incarnation || isLeaving) return new Response("gone", { status: 410 });
  // The timer of a socket that hears something while it is being closed is forgotten by Deno (2.9.6),
  // and would keep this process from ending for 15 s.
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  connections++;
  socket.onopen = () => enter(socket, room, Number(client));
  socket.onerror = () => {};
  socket.onclose = () => {
    visits.delete(socket);
    if (--connections === 0) allClosed();
  };
  return response;
});

function report(id?: number): void {
  const { sent, slow, failed } = rooms.totals;
  const clients = visits.size;
  guarded(() => {
    const report = { memory: memory(), broadcasts: book.next, open: book.open(mesh.peers) };
    say({ type: "report", id, report: { ...report, sent, slow, failed, clients } });
  });
}

async function shout(): Promise<void> {
  for (let piece = 0; piece < SHOUT_PIECES; piece++) {
    for (let i = 0; i < SHOUTS_IN_PIECE; i++) guarded(() => void broadcast(PULSE_ROOM, SHOUT));
    await new Promise((resolve) => setTimeout(resolve, SHOUT_PAUSE_MS));
  }
}

async function closeAll(): Promise<void> {
  isLeaving = true;
  const closed = new Promise<void>((resolve) => allClosed = resolve);
  for (const [socket, visit] of visits) dismiss(socket, visit);
  if (connections > 0) await closed;
}

async function leave(): Promise<void> {
  Deno.removeSignalListener("SIGTERM", leave);
  clearInterval(pulse);
  clearInterval(sampler);
  await closeAll();
  say({ type: "leaving", at: now() });
  for (let i = 0; i < LAST_WORDS; i++) broadcast(PULSE_ROOM, LAST_WORD);
  await mesh.shutdown();
  await server.shutdown();
  hasLeft = true;
  say({ type: "left" });
}

const pulse = setInterval(() => guarded(() => void broadcast(PULSE_ROOM, "")), PULSE_MS);
const sampler = setInterval(report, sampleMs);
Deno.addSignalListener("SIGTERM", leave);
say({ type: "listening", at: now(), life: mesh.incarnation, port: server.addr.port });
for await (const line of lines(Deno.stdin.readable)) {
  const command: Command = JSON.parse(line);
  if (command.do === "report") report(command.id);
  else if (command.do === "shout") await shout();
  else if (command.do === "close") void closeAll();
  else if (command.do === "quiet") clearInterval(pulse);
}
// Whoever has started this process is gone.
if (!hasLeft) Deno.exit(1);
