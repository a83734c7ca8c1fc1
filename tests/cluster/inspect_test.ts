import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { answerInspections } from "../../examples/inspect/answer.ts";
import {
  ANSWER_ROOM,
  decodeAnswer,
  encodeAnswer,
  QUESTION,
  QUESTION_ROOM,
} from "../../examples/inspect/protocol.ts";
import { encodeRoomBroadcast, Rooms } from "../../mod.ts";
import { COOKIE, fullyLinked, Inbox, startNode, startPlainNode } from "../mesh/_cluster.ts";
import { MeshLangPeer } from "../mesh/_mesh_lang_peer.ts";

const INSPECT = new URL("../../examples/inspect/inspect.ts", import.meta.url).pathname;

/** Runs the inspector as the task does, and gives how it ended and what it printed. */
async function inspect(
  args: string[],
  cookie = COOKIE,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", "--allow-env=ROOMCAST_COOKIE", INSPECT, ...args],
    env: { ROOMCAST_COOKIE: cookie, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The rows of a table that has been printed, one of those between empty lines. */
function tableOf(stdout: string, index: number, skippedRows = 1): string[][] {
  const lines = stdout.trim().split("\n\n")[index].split("\n");
  return lines.slice(skippedRows).map((line) => line.split(/ {2,}/));
}

Deno.test("the inspector lists all nodes of a cluster from the address of one, and leaves", async () => {
  await using a = await startNode("chat-1", { allowMeshLang: true });
  await using b = await startNode("chat-2", { seeds: [a.name], allowMeshLang: true });
  await using x = await MeshLangPeer.start("mesh-1");
  await fullyLinked([a, b]);
  await x.dial(a.name);
  await x.until(() => x.sessionNames.length === 2);

  const { code, stdout, stderr } = await inspect([
    `127.0.0.1:${a.address.port}`,
    "--allow-mesh-lang",
  ]);
  assertEquals([code, stderr], [0, ""]);
  const rows = tableOf(stdout, 0);
  const expected = [a, b].map(({ name, incarnation }) => [name, incarnation, "TLS", "roomcast"]);
  assertEquals(rows.map((row) => row.slice(0, 4)), [...expected, [
    x.name,
    "-",
    "TLS",
    "Mesh runtime",
  ]]);
  for (const row of rows) assertMatch(row[4], /^\d+\.\d ms$/);
  await x.until(() => x.sessionNames.length === 2);
});

Deno.test("the inspector shows rooms, queues and totals, and no node notices it", async () => {
  await using a = await startNode("chat-1");
  await using b = await startNode("chat-2", { seeds: [a.name], interest: "room" });
  await using c = await startNode("chat-3", { seeds: [a.name] });
  await fullyLinked([a, b, c]);
  using roomsA = new Rooms({ backplane: a });
  using roomsB = new Rooms({ backplane: b });
  using _answers = new DisposableStack();
  _answers.use(answerInspections(a, roomsA));
  _answers.use(answerInspections(b, roomsB));
  using _lobby = roomsB.listen("lobby", () => {});
  using _hall = roomsB.listen("hall", () => {});
  await b.ready();
  const events: string[] = [];
  for (const node of [a, b, c]) {
    for (const type of ["peerup", "peerdown", "nodedown", "missed", "refused"]) {
      node.addEventListener(type as "peerup", () => events.push(type));
    }
  }
  roomsA.broadcast("lobby", "hello");
  await roomsB.drain({ overMs: 0 });

  const { code, stdout, stderr } = await inspect([a.name]);
  assertEquals([code, stderr], [0, ""]);
  const numbers = "peers queued published received sent slow failed dropped missed";
  const head = ["node", "state", "rooms", "sockets", ...numbers.split(" ")];
  const none = head.slice(1).map(() => "-");
  const rows = tableOf(stdout, 1, 0);
  // It may have got the answer of the other node before it gave its own.
  assertMatch(rows[1].splice(7, 1)[0], /^[12]$/);
  assertEquals(rows, [
    head,
    [a.name, "serving", "0", "0", "2", "0", ...["1", "0", "0", "0", "0", "0"]],
    [b.name, "draining", "2", "0", "2", "0", ...["0", "2", "1", "0", "0", "0", "0"]],
    [c.name, ...none],
  ]);
  assertEquals(events, []);
});

Deno.test("nodes answer inspections until they dispose of the answers, and no client can ask or listen", async () => {
  await using a = await startNode("a");
  await using inspector = await startNode("i", { observer: true });
  const rooms = new Rooms({ backplane: a });
  const answers = answerInspections(a, rooms);
  inspector.openRoom(ANSWER_ROOM);
  await inspector.connect(a.name);
  await inspector.ready();
  const inbox = new Inbox(inspector);
  inspector.publish(QUESTION);
  const [answer] = await inbox.has(1);
  assertEquals(decodeAnswer(answer)?.peers, 0);

  assertEquals(rooms.broadcast(QUESTION_ROOM, "").peers, 0);
  assertThrows(() => rooms.listen(ANSWER_ROOM, () => {}), RangeError);
  answers[Symbol.dispose]();
  answers[Symbol.dispose]();
  const read = new Promise((resolve) => a.subscribe(resolve));
  inspector.publish(QUESTION);
  await read;
  a.publish(encodeRoomBroadcast(ANSWER_ROOM, "the last"));
  assertEquals((await inbox.has(2)).length, 2);
});

Deno.test("a message that is not an answer, or is one of another version, is ignored", () => {
  const totals = { published: 0, received: 0, sent: 0, slow: 0, failed: 0, dropped: 0, missed: 0 };
  const report = { draining: false, rooms: 1, sockets: 2, peers: 3, queuedBytes: 4, totals };
  assertEquals(decodeAnswer(encodeAnswer(report)), report);
  const texts = [
    "",
    "{",
    "null",
    JSON.stringify({ ...report, rooms: "1" }),
    JSON.stringify({ ...report, totals: { ...totals, sent: null } }),
    JSON.stringify({ ...report, draining: undefined }),
  ];
  for (const text of texts) {
    assertEquals(decodeAnswer(encodeRoomBroadcast(ANSWER_ROOM, text)), undefined, text);
  }
  assertEquals(
    decodeAnswer(encodeRoomBroadcast("elsewhere", JSON.stringify(report))),
    undefined,
  );
  assertEquals(decodeAnswer(Uint8Array.of(1)), undefined);
});

Deno.test("the inspector shows which links are plain, and which nodes it cannot link", async () => {
  await using a = await startPlainNode("chat-1", { allowMeshLang: true });
  await using x = await MeshLangPeer.start("mesh-1", { tls: false });
  await x.dial(a.name);
  const { code, stdout } = await inspect([a.name, "--plain"]);
  assertEquals(code, 1);
  assertMatch(stdout, /^chat-1@\S+ +[0-9a-f]{16} +plain +roomcast +\d+\.\d ms$/m);
  assertMatch(stdout, /^ {2}127\.0\.0\.1:\d+ {2}mesh-lang-handshake {2}.*--allow-mesh-lang\.$/m);
});

Deno.test("the inspector explains what is wrong, and ends with 1", async () => {
  await using secure = await startNode("secure");
  await using plain = await startPlainNode("plain");
  const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = nobody.addr;
  nobody.close();
  const cases: [args: string[], cookie: string, part: string][] = [
    [[secure.name], "another cookie altogether", "Is ROOMCAST_COOKIE the one"],
    [[secure.name, "--plain"], COOKIE, "leave --plain out"],
    [[plain.name], COOKIE, "try --plain"],
    [[`127.0.0.1:${port}`], COOKIE, "Is the node up"],
    [["nonsense:"], COOKIE, "host:port"],
  ];
  for (const [args, cookie, part] of cases) {
    const { code, stdout, stderr } = await inspect(args, cookie);
    assertEquals([code, stdout], [1, ""], stderr);
    assertStringIncludes(stderr, part);
  }
});

Deno.test("the inspector prints its usage when its arguments are wrong, and ends with 2", async () => {
  const cases: [args: string[], cookie: string, part: string][] = [
    [[], COOKIE, "expected one address"],
    [["a:1", "b:1"], COOKIE, "expected one address"],
    [["a:1"], "", "ROOMCAST_COOKIE is not set"],
    [["a:1"], "too short", "16 bytes"],
    [["a:1", "--wait", "never"], COOKIE, "--wait"],
    [["a:1", "--verbose"], COOKIE, "Usage:"],
  ];
  for (const [args, cookie, part] of cases) {
    const { code, stderr } = await inspect(args, cookie);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, part);
    assertEquals(stderr.includes(" at file:"), false, stderr);
  }
});
