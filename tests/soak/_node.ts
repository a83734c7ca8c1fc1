/**
 * A node as a process of its own: `_node.ts <index> <sample ms> <name>...`. It serves rooms to
 * WebSocket clients, keeps the books of its links, and says what happens (`_protocol.ts`). On SIGTERM
 * it drains and leaves, and then it must end by itself: whatever is left running shows.
 */

import { createServer } from "node:http";
import { lines } from "../../examples/chat/node_process.ts";
import { Presence, Rooms, startMesh } from "../../mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { Attendance, type Whereabouts } from "./_attendance.ts";
import type { Audience } from "./_audience.ts";
import { Ledger } from "./_ledger.ts";
import { type Command, guarded, memory, now, type Occupants, say } from "./_protocol.ts";
import { allRooms, isSelective } from "./_rooms.ts";
import type { Visitor } from "./_visitor.ts";
import { Visits } from "./_visits.ts";

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

const self = Number(Deno.args[0]);
const sampleMs = Number(Deno.args[1]);
const names = Deno.args.slice(2);

const mesh = await startMesh({
  name: names[self],
  cookie: COOKIE,
  seeds: names.slice(0, SEEDS),
  interest: isSelective(self) ? "room" : "cluster",
});
const onError = (error: unknown) => fault(`a handler failed: ${error}`);
const rooms = new Rooms<Visitor>({ backplane: mesh, onError });
const presence = new Presence<Whereabouts>(rooms);
const ledger = new Ledger({ mesh, rooms, names, self });
const visits = new Visits({ ledger, rooms, presence, life: mesh.incarnation, onError });
const attendance = new Attendance(presence, mesh);
/** What the listener has heard. */
let listened = 0;
let hasLeft = false;

rooms.listen("pulse", () => void listened++);

const server = createServer((_request, response) => response.writeHead(426).end());
server.on("upgrade", (request, stream, head) => visits.upgrade(request, stream, head));
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

function fault(text: string): void {
  say({ type: "fault", text });
}

function portOf(address: ReturnType<typeof server.address>): number {
  if (typeof address === "object" && address !== null) return address.port;
  throw new Error("the server does not listen at a port");
}

function report(id?: number): void {
  const { sent, slow, failed, missed } = rooms.totals;
  const { book } = ledger;
  guarded(() => {
    const open = book.open(mesh.peers);
    if (missed !== book.missedTotal) {
      throw new Error(`rooms have missed ${missed}, and events tell of ${book.missedTotal}`);
    }
    const report = { memory: memory(), broadcasts: book.next, open, sent, slow, failed };
    say({ type: "report", id, report: { ...report, clients: visits.size } });
  });
}

function pulse(): void {
  guarded(() => void ledger.broadcast(PULSE, ""));
}

async function shout(): Promise<void> {
  for (let piece = 0; piece < SHOUT_PIECES; piece++) {
    for (let i = 0; i < SHOUTS_IN_PIECE; i++) guarded(() => void ledger.broadcast(PULSE, SHOUT));
    await new Promise((resolve) => setTimeout(resolve, SHOUT_PAUSE_MS));
  }
}

/** Says something to each room, and to one that nobody is in. */
function call(clients: number): void {
  for (const room of allRooms(clients)) guarded(() => ledger.call(room));
  guarded(() => {
    const { report: { peers } } = ledger.broadcast(NOWHERE, "");
    const expected = ledger.book.receiversOfAll;
    if (peers === expected) return;
    throw new Error(`a message that ${expected} nodes want was queued for ${peers}`);
  });
}

/** Makes sure that all was heard, and says who is present. */
function check(clients: number): void {
  const all = allRooms(clients);
  for (const room of all) {
    if (rooms.members(room).length === 0 || ledger.isCalled(room)) continue;
    fault(`${room} has not heard what all other nodes said to it in the end`);
  }
  const pulses = ledger.totals.of(PULSE).count;
  if (listened !== pulses) fault(`the listener has heard ${listened} messages of ${pulses}`);
  const occupied = all.map((room): [string, Occupants] => {
    return [room, { here: visits.trackedIn(room), everywhere: presence.count(room) }];
  });
  attendance.check();
  say({ type: "occupied", rooms: Object.fromEntries(occupied) });
}

async function leave(): Promise<void> {
  Deno.removeSignalListener("SIGTERM", leave);
  clearInterval(pulser);
  clearInterval(sampler);
  await visits.closeAll();
  say({ type: "leaving", at: now() });
  for (let i = 0; i < LAST_WORDS; i++) ledger.broadcast(PULSE, LAST_WORD);
  presence[Symbol.dispose]();
  await mesh.shutdown();
  await new Promise((resolve) => server.close(resolve));
  hasLeft = true;
  say({ type: "left" });
}

const pulser = setInterval(pulse, PULSE_MS);
const sampler = setInterval(report, sampleMs);
Deno.addSignalListener("SIGTERM", leave);
say({ type: "listening", at: now(), life: mesh.incarnation, port: portOf(server.address()) });
for await (const line of lines(Deno.stdin.readable)) {
  const command: Command = JSON.parse(line);
  if (command.do === "report") report(command.id);
  else if (command.do === "shout") await shout();
  else if (command.do === "expel") guarded(() => ledger.expel(command.room));
  else if (command.do === "pour") void visits.pour();
  else if (command.do === "call") call(command.clients);
  else if (command.do === "check") check(command.clients);
  else if (command.do === "close") void visits.closeAll();
  else if (command.do === "quiet") clearInterval(pulser);
}
// The process that has started this one is gone.
if (!hasLeft) Deno.exit(1);
