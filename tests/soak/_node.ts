/**
 * A node as a process of its own: `_node.ts <index> <sample ms> <name>...`. It serves rooms to
 * WebSocket clients, keeps the books of its links, and says what happens (`_protocol.ts`). On SIGTERM
 * it drains and leaves, and then it must end by itself: whatever is left running shows.
 */

import { createServer } from "node:http";
import {
  decodeRoomBroadcast,
  decodeRoomClose,
  decodeRoomMessage,
  ROOM_BROADCAST,
  ROOM_CLOSE,
} from "../../codec/mod.ts";
import { lines } from "../../examples/chat/node_process.ts";
import { acceptWebSocket, type BroadcastReport, Rooms, startMesh } from "../../mod.ts";
import { refuseUpgrade } from "../../websocket/mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { type Audience, audienceName, AudienceTotals, includes } from "./_audience.ts";
import { addNumber, writeTally } from "./_hearing.ts";
import { LinkBook } from "./_link_book.ts";
import { type Command, guarded, memory, now, say } from "./_protocol.ts";
import { allRooms, audienceOf, EXPELLED } from "./_rooms.ts";
import { CALLER, NODE_ITSELF, readStamp, type Stamp, stamped, stampedBytes } from "./_stamp.ts";
import { Visitor } from "./_visitor.ts";

/** How many names are seeds; the other nodes are learnt from these. */
const SEEDS = 2;

/** How often each node says something of its own, so that there is traffic on every link. */
const PULSE_MS = 25;
const PULSE: Audience = { rooms: ["pulse"], except: [] };

/** A room that nobody is in. */
const NOWHERE: Audience = { rooms: ["nowhere"], except: [] };

/** What a node that leaves says in the end, all at once: its goodbye has to wait for it. */
const LAST_WORDS = 100;
const LAST_WORD = "x".repeat(10_000);

/** What is shouted: more than `maxQueuedBytes` and the buffers of the system, a piece in each turn. */
const SHOUT_PIECES = 96;
const SHOUTS_IN_PIECE = 8;
const SHOUT = "x".repeat(64 * 1024);
/** The nodes that are not stopped keep up with so much in this time. */
const SHOUT_PAUSE_MS = 10;

/** What clients that do not read are sent, a piece for each and then a pause. */
const POUR_BYTES = 64 * 1024;
const POUR_PAUSE_MS = 5;

/** Time over which the clients of a node that leaves are closed. */
const DRAIN_MS = 500;

/** A client's connection. */
interface Visit {
  readonly client: number;
  readonly rooms: readonly string[];
  /** It does not read. */
  readonly isStalled: boolean;
  /** What it has not heard: what was said before it came, and what it has said itself. */
  count: number;
  sum: number;
  said: number;
}

const index = Number(Deno.args[0]);
const sampleMs = Number(Deno.args[1]);
const names = Deno.args.slice(2);
const isSelective = (node: number) => node % 2 === 1;

const mesh = await startMesh({
  name: names[index],
  cookie: COOKIE,
  seeds: names.slice(0, SEEDS),
  interest: isSelective(index) ? "room" : "cluster",
});
const book = new LinkBook({ names, self: index, isSelective });
mesh.addEventListener("peerup", ({ peer }) => {
  guarded(() => say({ type: "up", record: book.up(peer, now()) }));
});
mesh.addEventListener("peerdown", ({ peer, reason }) => {
  guarded(() => say({ type: "down", record: book.down(peer, reason, now()) }));
});
mesh.addEventListener("missed", ({ peer, count }) => guarded(() => book.missed(peer, count)));
mesh.addEventListener("overflow", ({ peer, dropped }) => {
  say({ type: "overflow", peer: peer.name, dropped });
});
mesh.addEventListener("malformed", ({ peer, code }) => {
  say({ type: "fault", text: `a message of ${peer.name} is malformed: ${code}` });
});
mesh.addEventListener("unsupported", ({ peer, tag }) => {
  say({ type: "fault", text: `${peer.name} does not know messages with tag ${tag}` });
});

const onError = (error: unknown) => say({ type: "fault", text: `a handler failed: ${error}` });
const rooms = new Rooms<Visitor>({ backplane: mesh, onError });
/** What only clients on this node hear: those that do not read. */
const local = new Rooms<Visitor>({ onError });
const totals = new AudienceTotals();
const visits = new Map<Visitor, Visit>();
/** By room: the lives whose call has been heard. */
const calls = new Map<string, Set<string>>();
/** What the listener has heard. */
let listened = 0;
let closing: Promise<void> | undefined;
let hasLeft = false;

rooms.listen("pulse", () => void listened++);

function countIn(audience: Audience, number: number): void {
  const total = totals.of(audience);
  total.count++;
  total.sum = addNumber(total.sum, number);
}

// After `rooms`, so that the members have been sent it when it is counted.
mesh.subscribe((bytes, from = "") => {
  if (from === mesh.nodeId) return;
  guarded(() => hear(bytes, from));
});

function hear(bytes: Uint8Array, from: string): void {
  const [tag] = bytes;
  if (tag === ROOM_CLOSE) {
    const { room, code, reason } = decodeRoomClose(bytes);
    if (code !== EXPELLED) throw new Error(`${room} is closed with ${code}`);
    return note(readStamp(reason), { rooms: [room], except: [] });
  }
  if (tag === ROOM_BROADCAST) {
    const { room, message } = decodeRoomBroadcast(bytes);
    return count(readStamp(message), { rooms: [room], except: [] });
  }
  const { message, ...audience } = decodeRoomMessage(bytes);
  // Presence, which knows by itself what it has missed.
  if (audience.rooms[0].startsWith("\0")) return book.heardOther(from);
  count(readStamp(message), audience);
}

function note(stamp: Stamp, audience: Audience): void {
  const first = book.heard(stamp, now());
  if (first) say({ type: "first", record: first });
  const name = audienceName(audience);
  if (name !== stamp.audience) throw new Error(`what was for ${stamp.audience} came to ${name}`);
}

function count(stamp: Stamp, audience: Audience): void {
  countIn(audience, stamp.number);
  if (stamp.client === CALLER) {
    const { audience: room, life } = stamp;
    const lives = calls.get(room);
    if (lives === undefined) calls.set(room, new Set([life]));
    else lives.add(life);
  }
  note(stamp, audience);
}

/** Broadcasts something with a stamp. Gives its number, and what is reported of it. */
function publish(
  audience: Audience,
  client: number,
  send: (stamp: Stamp) => BroadcastReport,
): { number: number; report: BroadcastReport } {
  const marks = book.marks(mesh.peers);
  const number = book.next;
  const stamp = {
    node: index,
    life: mesh.incarnation,
    number,
    audience: audienceName(audience),
    audienceNumber: totals.of(audience).own++,
    client,
    marks,
  };
  const report = send(stamp);
  book.sent(report, marks, mesh.peers);
  return { number, report };
}

/** Says a text, or so many bytes. */
function broadcast(
  audience: Audience,
  content: string | number,
  { client = NODE_ITSELF, except }: { client?: number; except?: Visitor } = {},
): { number: number; report: BroadcastReport } {
  const published = publish(audience, client, (stamp) => {
    const message = typeof content === "string"
      ? stamped(stamp, content)
      : stampedBytes(stamp, content);
    const others = except === undefined ? audience.except : [except, ...audience.except];
    return rooms.broadcast(audience.rooms, message, { except: others });
  });
  countIn(audience, published.number);
  return published;
}

function expel(room: string): void {
  publish({ rooms: [room], except: [] }, NODE_ITSELF, (stamp) => {
    return rooms.disconnect(room, { code: EXPELLED, reason: stamped(stamp, "") });
  });
}

/** A client has connected. */
function enter(visitor: Visitor, visit: Visit): void {
  visits.set(visitor, visit);
  const [room, table] = visit.rooms;
  rooms.join(visitor, room);
  (visit.isStalled ? local : rooms).join(visitor, table);
}

/** A client has said something, which goes to its rooms. */
function repeat(
  visitor: Visitor,
  visit: Visit,
  data: string | ArrayBufferLike | ArrayBufferView,
): void {
  visit.said++;
  const { client, rooms: own } = visit;
  const audience = audienceOf(own, Math.random());
  const content = typeof data === "string" ? data : data.byteLength;
  const { number } = broadcast(audience, content, { client, except: visitor });
  if (!includes(audience, own)) return;
  visit.count++;
  visit.sum = addNumber(visit.sum, number);
}

/** What a client must have heard, if it is closed now. */
function tallyOf(visit: Visit): string {
  const { count, sum } = totals.heardBy(visit.rooms);
  return writeTally({
    count: count - visit.count,
    sum: (sum - visit.sum) >>> 0,
    said: visit.said,
  });
}

const server = createServer((_request, response) => response.writeHead(426).end());
server.on("upgrade", (request, stream, head) => {
  const [, life, room, table, client] = (request.url ?? "").split("/");
  // A client may be late, and another process have its node's port.
  if (life !== mesh.incarnation) return refuseUpgrade(stream, 410, "This node is gone.");
  if (rooms.draining) return refuseUpgrade(stream, 503, "This node is leaving.");
  const socket = acceptWebSocket(request, stream, head);
  if (socket === undefined) return say({ type: "fault", text: `client ${client} was refused` });
  const own = [room, table];
  const { count, sum } = totals.heardBy(own);
  const isStalled = table.startsWith("stalled-");
  const visit: Visit = { client: Number(client), rooms: own, isStalled, count, sum, said: 0 };
  const visitor = new Visitor(socket, () => tallyOf(visit));
  // A client that is closed may have said something before it knew.
  socket.onmessage = ({ data }) => {
    if (socket.readyState === WebSocket.OPEN) guarded(() => repeat(visitor, visit, data));
  };
  socket.onclose = () => {
    visits.delete(visitor);
    if (stalled().length === 0) stalledGone();
  };
  enter(visitor, visit);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

function portOf(address: ReturnType<typeof server.address>): number {
  if (typeof address === "object" && address !== null) return address.port;
  throw new Error("the server does not listen at a port");
}

let stalledGone = () => {};

/** The connections of the clients that do not read. */
function stalled(): Visitor[] {
  return [...visits].flatMap(([visitor, { isStalled }]) => isStalled ? [visitor] : []);
}

function report(id?: number): void {
  const { sent, slow, failed, missed } = rooms.totals;
  guarded(() => {
    const open = book.open(mesh.peers);
    if (missed !== book.missedTotal) {
      throw new Error(`rooms have missed ${missed}, and events tell of ${book.missedTotal}`);
    }
    const report = { memory: memory(), broadcasts: book.next, open, sent, slow, failed };
    say({ type: "report", id, report: { ...report, clients: visits.size } });
  });
}

async function shout(): Promise<void> {
  for (let piece = 0; piece < SHOUT_PIECES; piece++) {
    for (let i = 0; i < SHOUTS_IN_PIECE; i++) guarded(() => void broadcast(PULSE, SHOUT));
    await pause(SHOUT_PAUSE_MS);
  }
}

/** Tells the clients that do not read more and more, until all of them have been closed as slow. */
async function pour(): Promise<void> {
  const gone = new Promise<void>((resolve) => stalledGone = resolve);
  for (;;) {
    const open = stalled().filter(({ isSlow }) => !isSlow);
    if (open.length === 0) break;
    for (const visitor of open) {
      const [, room] = visits.get(visitor)?.rooms ?? [];
      if (room !== undefined) local.broadcast(room, new Uint8Array(POUR_BYTES));
    }
    await pause(POUR_PAUSE_MS);
  }
  say({ type: "poured" });
  await gone;
  say({ type: "freed" });
}

/** Says something to each room, and to one that nobody is in. */
function call(clients: number): void {
  for (const room of allRooms(clients)) {
    guarded(() => void broadcast({ rooms: [room], except: [] }, "", { client: CALLER }));
  }
  guarded(() => {
    const { report: { peers } } = broadcast(NOWHERE, "");
    const expected = book.receiversOfAll;
    if (peers === expected) return;
    throw new Error(`a message that ${expected} nodes want was queued for ${peers}`);
  });
}

/** Each room with members here must have heard the calls of all others. */
function check(clients: number): void {
  const lives = mesh.peers.map(({ incarnation }) => incarnation);
  for (const room of allRooms(clients)) {
    const heard = calls.get(room);
    const isHeard = rooms.members(room).length === 0 || lives.every((life) => heard?.has(life));
    if (!isHeard) {
      say({ type: "fault", text: `${room} has not heard what all others said at last` });
    }
  }
  const pulses = totals.of(PULSE).count;
  if (listened === pulses) return;
  say({ type: "fault", text: `the listener has heard ${listened} messages of ${pulses}` });
}

/** Closes all clients. */
function closeAll(): Promise<void> {
  return closing ??= drain();
}

async function drain(): Promise<void> {
  const { size } = visits;
  const closed = await rooms.drain({ overMs: DRAIN_MS });
  if (closed !== size) {
    say({ type: "fault", text: `drain has closed ${closed} sockets of ${size}` });
  }
}

async function leave(): Promise<void> {
  Deno.removeSignalListener("SIGTERM", leave);
  clearInterval(pulse);
  clearInterval(sampler);
  await closeAll();
  say({ type: "leaving", at: now() });
  for (let i = 0; i < LAST_WORDS; i++) broadcast(PULSE, LAST_WORD);
  await mesh.shutdown();
  await new Promise((resolve) => server.close(resolve));
  hasLeft = true;
  say({ type: "left" });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const pulse = setInterval(() => guarded(() => void broadcast(PULSE, "")), PULSE_MS);
const sampler = setInterval(report, sampleMs);
Deno.addSignalListener("SIGTERM", leave);
say({ type: "listening", at: now(), life: mesh.incarnation, port: portOf(server.address()) });
for await (const line of lines(Deno.stdin.readable)) {
  const command: Command = JSON.parse(line);
  if (command.do === "report") report(command.id);
  else if (command.do === "shout") await shout();
  else if (command.do === "expel") guarded(() => expel(command.room));
  else if (command.do === "pour") void pour();
  else if (command.do === "call") call(command.clients);
  else if (command.do === "check") check(command.clients);
  else if (command.do === "close") void closeAll();
  else if (command.do === "quiet") clearInterval(pulse);
}
// Whoever has started this process is gone.
if (!hasLeft) Deno.exit(1);
