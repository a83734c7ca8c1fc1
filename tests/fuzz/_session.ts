/**
 * A session with a member that knows the cookie and says anything. Byte 0 of an input is what
 * {@linkcode Setting} says; the rest is what the member sends behind the handshake, on a simulated
 * network. A reference says what a node must make of it, message for message: what is delivered, what
 * is malformed, which pings are answered, whether the link stays and why not. Beside it the node has an
 * honest link, which must not notice; and when both nodes have been shut down nothing must be left.
 */

import { concat } from "@std/bytes";
import {
  decodeRoomBroadcast,
  decodeRoomClose,
  decodeRoomMessage,
  encodeFrame,
  encodeGoodbye,
  encodeMissed,
  encodePeerList,
  encodePing,
  encodePong,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomInterest,
  encodeRoomMessage,
  ROOM_BROADCAST,
  ROOM_CLOSE,
} from "../../codec/mod.ts";
import { type Mesh, type PeerDownEvent, startMesh } from "../../mesh/mod.ts";
import { type SimulatedHost, Simulation } from "../../testing/mod.ts";
import { Member } from "./_member.ts";
import {
  Fault,
  orFault,
  referenceFixed,
  referenceFrames,
  referenceMissed,
  referencePeerList,
  referenceRoomBroadcast,
  referenceRoomClose,
  referenceRoomInterest,
  referenceRoomMessage,
} from "./_reference.ts";
import { check, checkSame, magnitude, type Target } from "./_target.ts";

/** Bits of the first byte of an input. */
enum Setting {
  /** How the stream is cut, two bits: see {@linkcode CHUNK_BYTES}. */
  Cut = 3,
  /** The member hangs up in the end. */
  HangsUp = 4,
  /** The node has dialled the member, and not the other way round. */
  Dialled = 8,
  /** The member says that it understands GOODBYE. */
  Goodbye = 16,
}

const CHUNK_BYTES = [16 * 1024, 256, 32, 7];
const COOKIE = "correct horse battery staple";
const NODE = "node@10.0.0.1:9000";
const FRIEND = "friend@10.0.0.2:9000";
const MEMBER = "member@10.0.0.3:9000";
const PORT = 9000;
/** The least that a mesh takes. */
const MAX_MESSAGE_BYTES = 512;
const MAX_PEERS = 4;
/** What is under way, and what it leads to, is over by then. */
const CALM_MS = 1_000;
/** What the node publishes in the end. Examples announce these rooms. */
const PUBLISHED_ROOMS = ["r", "lobby", ""];
/** More than a few answers may not find a place. */
const FEW_PINGS = 32;

/** What a node must make of a stream. */
interface Expected {
  readonly delivered: string[];
  readonly malformed: string[];
  readonly pongs: string[];
  readonly missed: number[];
  /** Which broadcasts the member wants. */
  everything: boolean;
  /** Names may be missing from a list: only op 0 counts. */
  isIncomplete: boolean;
  readonly rooms: Set<string>;
  lists: number;
  broadcasts: number;
  ignored: number;
  reason: "goodbye" | "frame-too-long" | "closed" | "up";
  /** Of the last message. */
  kind: string;
}

function referenceSession(stream: Uint8Array, hangsUp: boolean): Expected {
  const expected: Expected = {
    delivered: [],
    malformed: [],
    pongs: [],
    missed: [],
    everything: true,
    isIncomplete: false,
    rooms: new Set(),
    lists: 0,
    broadcasts: 0,
    ignored: 0,
    reason: hangsUp ? "closed" : "up",
    kind: "nothing",
  };
  const { payloads, fault } = referenceFrames(stream, MAX_MESSAGE_BYTES);
  for (const payload of payloads) {
    const read = orFault(() => take(payload, expected));
    expected.kind = read instanceof Fault ? `${payload[0]} ${read.code}` : read;
    if (read instanceof Fault) {
      expected.malformed.push(read.code);
      if (payload[0] === 0xe3) {
        expected.isIncomplete ||= expected.everything;
        expected.everything = true;
      }
    }
    if (expected.reason === "goodbye") return expected;
  }
  if (fault !== undefined) expected.reason = "frame-too-long";
  return expected;
}

function take(payload: Uint8Array, expected: Expected): string {
  switch (payload[0]) {
    case 0x1e:
      expected.broadcasts++;
      referenceRoomBroadcast(payload);
      expected.delivered.push(payload.toHex());
      return "broadcast";
    case 0xe2:
      expected.broadcasts++;
      referenceRoomMessage(payload);
      expected.delivered.push(payload.toHex());
      return "message";
    case 0xe5:
      expected.broadcasts++;
      referenceRoomClose(payload);
      expected.delivered.push(payload.toHex());
      return "close";
    case 0xe3:
      return takeInterest(referenceRoomInterest(payload), expected);
    case 0xe4:
      expected.missed.push(referenceMissed(payload));
      return "missed";
    case 0x12: {
      const names = referencePeerList(payload);
      expected.lists++;
      return `list of ${magnitude(names.length)}`;
    }
    case 0xf0:
      expected.pongs.push(`f1${referenceFixed(payload, 0xf0, [8])[0]}`);
      return "ping";
    case 0xf1:
      referenceFixed(payload, 0xf1, [8]);
      return "pong";
    case 0xe0:
      referenceFixed(payload, 0xe0, []);
      expected.reason = "goodbye";
      return "goodbye";
    default:
      expected.ignored++;
      return "unknown";
  }
}

function takeInterest(
  { op, rooms }: { op: string; rooms: string[] },
  expected: Expected,
): string {
  if (op === "everything") {
    expected.rooms.clear();
    expected.isIncomplete = false;
  }
  if (expected.isIncomplete) return `interest ${op}`;
  for (const room of rooms) {
    if (op === "remove") expected.rooms.delete(room);
    else expected.rooms.add(room);
  }
  if (op === "everything") expected.everything = true;
  if (op === "only") expected.everything = false;
  return `interest ${op}`;
}

/** Throws what a receiver throws that cannot decode a message. */
function decodeAny(bytes: Uint8Array): void {
  if (bytes[0] === ROOM_BROADCAST) decodeRoomBroadcast(bytes);
  else if (bytes[0] === ROOM_CLOSE) decodeRoomClose(bytes);
  else decodeRoomMessage(bytes);
}

/** A node, and all that its events have told. */
class Witness {
  readonly mesh: Mesh;
  readonly host: SimulatedHost;
  readonly delivered: string[] = [];
  readonly downs: PeerDownEvent[] = [];
  readonly malformed: string[] = [];
  readonly missed: number[] = [];
  readonly refused: string[] = [];

  private constructor(mesh: Mesh, host: SimulatedHost) {
    this.mesh = mesh;
    this.host = host;
    mesh.subscribe((bytes) => {
      decodeAny(bytes);
      this.delivered.push(bytes.toHex());
    });
    mesh.addEventListener("peerdown", (event) => this.downs.push(event));
    mesh.addEventListener("malformed", ({ code }) => this.malformed.push(code));
    mesh.addEventListener("missed", ({ count }) => {
      if (count !== undefined) this.missed.push(count);
    });
    mesh.addEventListener("refused", ({ code }) => this.refused.push(code));
  }

  static async start(host: SimulatedHost, name: string, seeds: string[]): Promise<Witness> {
    const options = { maxMessageBytes: MAX_MESSAGE_BYTES, maxPeers: MAX_PEERS, ...host.options };
    return new Witness(await startMesh({ name, cookie: COOKIE, seeds, ...options }), host);
  }

  peer(name: string) {
    return this.mesh.peers.find((peer) => peer.name === name);
  }
}

async function meet(
  simulation: Simulation,
  node: Witness,
  settings: number,
): Promise<Member> {
  const { transport } = simulation.startHost("10.0.0.3").options;
  const features = settings & Setting.Goodbye ? 1 : 0;
  const options = { name: MEMBER, features, cookie: COOKIE };
  if (settings & Setting.Dialled) {
    const listener = await transport.listen({ hostname: "10.0.0.3", port: PORT });
    const [member] = await simulation.complete(Promise.all([
      listener.accept().then(async (connection) => {
        const member = new Member(connection, options);
        await member.accept();
        return member;
      }),
      node.mesh.connect(MEMBER),
    ]));
    listener.close();
    return member;
  }
  const { signal } = new AbortController();
  const connecting = transport.connect({ hostname: "10.0.0.1", port: PORT }, { signal });
  const member = new Member(await simulation.complete(connecting), options);
  await simulation.complete(member.initiate());
  return member;
}

async function run(input: Uint8Array): Promise<string> {
  const [settings = 0] = input;
  const stream = input.subarray(1);
  const hangsUp = (settings & Setting.HangsUp) !== 0;
  const expected = referenceSession(stream, hangsUp);

  const simulation = new Simulation({
    seed: settings,
    maxChunkBytes: CHUNK_BYTES[settings & Setting.Cut],
  });
  const node = await Witness.start(simulation.startHost("10.0.0.1"), NODE, []);
  const friend = await Witness.start(simulation.startHost("10.0.0.2"), FRIEND, [NODE]);
  await simulation.runUntil(() => node.mesh.peers.length + friend.mesh.peers.length === 2);
  const links = [node.peer(FRIEND)?.since, friend.peer(NODE)?.since];
  const member = await meet(simulation, node, settings);
  const reading = member.listen();
  const writing = member.write(stream).catch(() => {});
  await simulation.run(CALM_MS);

  checkOutcome(node, expected, stream.length, hangsUp);
  checkHeard(member, expected);
  if (hangsUp) member.close();
  await simulation.run(CALM_MS);
  const reason = node.downs.map(({ reason }) => reason).join() || "up";
  checkSame(reason, expected.reason, "the link");
  checkFriend(node, friend, expected, links);

  // The node works on, and its friend hears of it.
  const messages = PUBLISHED_ROOMS.map((room) => encodeRoomBroadcast(room, "after all"));
  const reports = messages.map((message) => node.mesh.publish(message).peers);
  const wanted = PUBLISHED_ROOMS.map((room) => expected.everything || expected.rooms.has(room));
  checkSame(
    reports,
    wanted.map((isWanted) => 1 + Number(expected.reason === "up" && isWanted)),
    "who gets what the node says",
  );
  await simulation.run(CALM_MS);
  const published = messages.map((message) => message.toHex());
  checkSame(friend.delivered, published, "what the friend has heard");

  await simulation.complete(Promise.all([node.mesh.shutdown(), friend.mesh.shutdown()]));
  member.close();
  await simulation.complete(Promise.all([reading, writing]));
  for (const { host } of [node, friend]) {
    const { timerCount, connectionCount, listenerCount } = host;
    checkSame([timerCount, connectionCount, listenerCount], [0, 0, 0], "left after shutdown");
  }
  return `${expected.reason} after ${expected.kind}`;
}

function checkOutcome(node: Witness, expected: Expected, bytes: number, hangsUp: boolean): void {
  checkSame(node.delivered, expected.delivered, "delivered");
  checkSame(node.malformed, expected.malformed, "malformed");
  checkSame(node.missed, expected.missed, "missed");
  const isUp = expected.reason === "up" || hangsUp && expected.reason === "closed";
  const peer = node.peer(MEMBER);
  checkSame(peer !== undefined, isUp, "the link is up");
  const info = peer ?? node.downs[0].peer;
  checkSame(info.messagesIn, expected.broadcasts, "messagesIn");
  checkSame(info.malformed, expected.malformed.length, "malformed, counted");
  checkSame(info.ignored, expected.ignored, "ignored");
  checkSame(info.roundTripMs, undefined, "a round trip without a ping");
  if (isUp) checkSame(info.bytesIn, bytes, "bytesIn");
  check(node.host.connectionCount <= 2 + MAX_PEERS, "connections");
  const codes = expected.lists > 0
    ? ["invalid-address", "own-address", "too-many-peers", "unreachable", "wrong-name", "closed"]
    : ["unreachable"];
  for (const code of node.refused) check(codes.includes(code), `refused: ${code}`);
}

function checkHeard(member: Member, { pongs, reason }: Expected): void {
  const heard = member.heard.map((payload) => payload.toHex());
  checkSame(heard[0], encodePeerList([FRIEND]).toHex(), "the first message of a session");
  const rest = heard.slice(1);
  const isWhole = reason !== "goodbye" && reason !== "frame-too-long" && pongs.length <= FEW_PINGS;
  checkSame(rest, isWhole ? pongs : pongs.slice(0, rest.length), "answers");
}

function checkFriend(
  node: Witness,
  friend: Witness,
  { lists }: Expected,
  links: readonly (number | undefined)[],
): void {
  checkSame([node.peer(FRIEND)?.since, friend.peer(NODE)?.since], links, "the friend's link");
  checkSame(friend.mesh.peers.length, 1, "the friend's peers");
  checkSame([friend.downs.length, friend.malformed.length], [0, 0], "the friend has seen trouble");
  // By what the member tells, it is called by names that are not its own.
  check(lists > 0 || friend.refused.length === 0, "the friend has refused");
}

const token = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const payloads: Uint8Array[] = [
  encodeRoomBroadcast("lobby", "hello"),
  encodePing(token),
  encodePong(new Uint8Array(8)),
  encodePong(Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0)), // The node's first ping, before it is sent.
  encodePeerList(["x@10.0.0.9:9000", "y@[::1]:9000"]),
  encodePeerList(["nonsense", "x@10.0.0.8:1"]),
  encodePeerList(Array.from({ length: 9 }, (_, i) => `n@10.0.1.${i}:9000`)),
  encodePeerList(["impostor@10.0.0.2:9000", NODE, FRIEND, MEMBER, "other@10.0.0.1:9000"]),
  encodeRoomBroadcast("é", "x".repeat(MAX_MESSAGE_BYTES - 9)), // As long as may be.
  encodeRoomBroadcast("é", "x".repeat(MAX_MESSAGE_BYTES - 8)),
  encodeRoomMessage({ rooms: ["r", "lobby"], except: ["é"], message: Uint8Array.of(0, 255) }),
  encodeRoomMessage({ rooms: ["r"], except: [], message: "text" }),
  encodeRoomClose("r", 4000, "bye"),
  encodeMissed(258),
  encodeRoomInterest({ op: "only", rooms: ["lobby", "", "r"] }),
  encodeRoomInterest({ op: "remove", rooms: ["r"] }),
  encodeRoomInterest({ op: "add", rooms: ["r"] }),
  encodeRoomInterest({ op: "everything", rooms: [] }),
  Uint8Array.of(0x10, 1, 2, 3),
  Uint8Array.of(0xef),
  Uint8Array.of(0x01, 0),
  new Uint8Array(),
];
const script = (settings: number, ...payloads: Uint8Array[]) =>
  concat([Uint8Array.of(settings), ...payloads.map((payload) => encodeFrame(payload))]);

export const SESSION: Target = {
  name: "session",
  framesFrom: 1,
  testSeeds: 400,
  examples: [
    ...payloads.map((payload, i) => script(16 + i, payload)),
    script(16, ...payloads.slice(0, 9)),
    script(31, ...payloads.slice(0, 8)),
    script(16, ...payloads.slice(14, 16)),
    script(25, ...payloads.slice(14, 17)),
    script(16, encodeRoomInterest({ op: "add", rooms: ["lobby"] }), payloads[15]),
    script(16, payloads[14], Uint8Array.of(0xe3, 9)),
    script(16, payloads[14], Uint8Array.of(0xe3, 9), payloads[14]),
    script(20, ...payloads),
    script(24, ...payloads.slice(0, 2), encodeGoodbye(), payloads[0]),
    script(6, ...new Array(80).fill(payloads[1])),
    script(17, encodeGoodbye()),
  ],
  run,
};
