/**
 * What instances of presence tell each other. `presence_message`: the codec says of any bytes what a
 * second, plain reading of the format says. `presence`: a peer says anything, beside an honest one
 * that has five entries. Nothing but a `FrameError` comes of it, limits hold, events agree with
 * lists, and the honest one keeps its entries.
 */

import { concat } from "@std/bytes";
import {
  decodePresenceChanges,
  decodePresenceEntries,
  decodePresenceHead,
  encodeFrame,
  encodePresence,
  encodePresenceChanges,
  encodePresenceSnapshot,
  FrameError,
  type PresenceEntry,
} from "../../codec/mod.ts";
import { Core } from "../../presence/_core.ts";
import { splitFrames } from "./_mutate.ts";
import { Fault, Fields, orFault, type Span } from "./_reference.ts";
import { check, checkSame, magnitude, type Target, Violation } from "./_target.ts";

const KINDS = ["", "snapshot", "changes", "heartbeat", "ask", "gone"];

interface Read {
  readonly head: Record<string, unknown>;
  /** The list, or what is wrong with it; undefined for a message without one. */
  readonly list: unknown;
}

function reference(bytes: Uint8Array): Read {
  const kind = bytes[0] ?? 1;
  if (kind === 0 || kind > 5) throw new Fault("wrong-tag", 0);
  const fields = new Fields(bytes, kind);
  const instance = fields.hex(fields.take(8));
  const node = fields.take(fields.number(2));
  const start = () => ({ kind: KINDS[kind], instance, node: fields.text(node) });
  switch (kind) {
    case 1: {
      const number = fields.number(6);
      const offset = fields.at;
      const part = fields.number(2);
      const parts = fields.number(2);
      const count = fields.number(2);
      if (part >= parts) throw new Fault("bad-part", offset);
      const head = { ...start(), number, part, parts };
      return { head, list: orFault(() => referenceList(fields, count, false)) };
    }
    case 2: {
      const first = fields.number(6);
      const count = fields.number(2);
      const head = { ...start(), first, count };
      return { head, list: orFault(() => referenceList(fields, count, true)) };
    }
    case 3: {
      const number = fields.number(6);
      fields.end();
      return { head: { ...start(), number }, list: undefined };
    }
    case 4: {
      const instances = [];
      for (let left = fields.number(2); left > 0; left--) {
        instances.push(fields.hex(fields.take(8)));
      }
      fields.end();
      return { head: { ...start(), instances }, list: undefined };
    }
    default:
      fields.end();
      return { head: start(), list: undefined };
  }
}

function referenceList(fields: Fields, count: number, hasOps: boolean): unknown[] {
  const found: (number | { key: number; spans: Span[] })[] = [];
  for (; count > 0; count--) {
    const op = hasOps ? fields.number(1) : 1;
    if (op !== 1 && op !== 2) throw new Fault("unknown-op", fields.at - 1);
    const key = fields.number(6);
    const text = () => fields.take(fields.number(2));
    found.push(op === 2 ? key : { key, spans: [text(), text(), text()] });
  }
  fields.end();
  const list = found.map((one) => {
    if (typeof one === "number") return one;
    const [room, id, meta] = one.spans.map((span) => fields.text(span));
    return { key: one.key, room, id, meta };
  });
  for (const [i, one] of list.entries()) {
    const from = found[i];
    if (typeof one === "number" || typeof from === "number" || one.meta === "") continue;
    if (!isJson(one.meta)) throw new Fault("bad-json", from.spans[2].start);
  }
  return list;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function faultOf<T>(read: () => T): T | Fault {
  try {
    return read();
  } catch (error) {
    if (error instanceof FrameError) return new Fault(error.code, error.offset);
    throw error;
  }
}

function runMessage(input: Uint8Array): string {
  const expected = orFault(() => reference(input));
  const memory = new Uint8Array(input.length + 160).fill(0x61);
  memory.set(input, 80);
  const view = memory.subarray(80, 80 + input.length);
  const head = faultOf(() => decodePresenceHead(view));
  if (expected instanceof Fault || head instanceof Fault) {
    checkSame(head, expected, "head");
    return `${(expected as Fault).code} at ${magnitude((expected as Fault).offset)}`;
  }
  const list = head.kind === "snapshot"
    ? faultOf(() => decodePresenceEntries(view))
    : head.kind === "changes"
    ? faultOf(() => decodePresenceChanges(view))
    : undefined;
  memory.fill(0xa5);
  checkSame(Object.entries(head).sort(), Object.entries(expected.head).sort(), "head");
  checkSame(list, expected.list, "list");
  if (list instanceof Fault) return `${head.kind}: ${list.code} at ${magnitude(list.offset)}`;
  const again = head.kind === "snapshot"
    ? encodePresenceSnapshot(head, list as PresenceEntry[])
    : head.kind === "changes"
    ? encodePresenceChanges(head, list ?? [])
    : encodePresence(head);
  check(again.toHex() === input.toHex(), () => `encodes to ${again.toHex()}`);
  return `${head.kind}, ${magnitude(input.length)}`;
}

const SELF = { instance: "00".repeat(8), node: "self" };
const HONEST = { instance: "11".repeat(8), node: "honest" };
const PEER = { instance: "22".repeat(8), node: "peer" };
/** The peer's nodes. One byte of an instance's id says on which of them it is. */
const PEERS = ["peer 0", "peer 1", "peer 2"];
const HONEST_ENTRIES = ["ann", "bob", "cid", "dan", "eva"];
const MAX_ENTRIES = 20;
const MAX_INSTANCES = 4;
const ROOMS = ["lobby", "r", ""];

function runPeer(input: Uint8Array): string {
  const told = new Map<string, Set<string>>();
  const key = (room: string, id: string) => `${room}\0${id}`;
  const idsOf = (room: string) => told.get(room) ?? new Set<string>();
  let sent = 0;
  const core: Core = new Core({
    ...SELF,
    maxMessageBytes: 1_000,
    heartbeatIntervalMs: 500,
    timeoutMs: 5_000,
    limits: {
      maxIdBytes: 10,
      maxMetaBytes: 20,
      maxEntries: MAX_ENTRIES,
      maxTextUnits: 400,
      maxInstances: MAX_INSTANCES,
      maxInstancesPerNode: 2,
    },
    random: () => 0.5,
    send: () => sent++,
    onError: (error) => check(false, `a message that did not wait: ${error}`),
    joined: (room, id) => {
      check(!idsOf(room).has(key(room, id)), "joins twice");
      told.set(room, idsOf(room).add(key(room, id)));
      check(core.roster.count(room) === idsOf(room).size, "a count after a join");
    },
    left: (room, id) => {
      check(told.get(room)?.delete(key(room, id)) === true, "leaves without having joined");
      check(core.roster.count(room) === idsOf(room).size, "a count after a leave");
    },
  }, 0);
  core.receive(
    encodePresenceSnapshot(
      { ...HONEST, number: 5, part: 0, parts: 1 },
      HONEST_ENTRIES.map((id, key) => ({ key, room: "lobby", id, meta: "" })),
    ),
    HONEST.node,
    0,
  );
  const outcomes = new Set<string>();
  let now = 0;
  for (const message of splitFrames(input)) {
    now += 100;
    try {
      core.receive(message, PEERS[(message[1] ?? 0) % PEERS.length], now);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      outcomes.add(error.code);
    }
    core.step(now);
    check(core.remoteEntryCount <= MAX_ENTRIES, "more entries than allowed");
    check(core.instanceCount <= MAX_INSTANCES, "more instances than allowed");
    for (const [room, ids] of told) {
      const list = core.roster.list(room);
      check(list.length === ids.size, "events and list");
      for (const { id, metas } of list) {
        check(ids.has(key(room, id)) && metas.length > 0, "an id without an entry");
        check(id.length <= 10 && metas.every((meta) => meta.length <= 20), "too long");
        for (const meta of metas) check(meta === "" || isJson(meta), "a meta that is not JSON");
      }
    }
    for (const id of HONEST_ENTRIES) check(core.roster.has("lobby", id), "the honest one is hurt");
  }
  check(sent <= 3 + 6 * now / 100, () => `${sent} messages sent`);
  core.receive(encodePresence({ kind: "gone", ...HONEST }), HONEST.node, now);
  for (const peer of PEERS) core.nodeDown(peer);
  check(core.instanceCount === 0 && core.remoteEntryCount === 0, "something is left");
  for (const ids of told.values()) if (ids.size > 0) throw new Violation("somebody is left");
  for (const room of ROOMS) check(core.roster.count(room) === 0, "a room is not empty");
  return [...outcomes].sort().slice(0, 3).join() || "fine";
}

const entry = (key: number, room: string, id: string, meta = ""): PresenceEntry => ({
  key,
  room,
  id,
  meta,
});
const snapshot = (number: number, part: number, parts: number, ...entries: PresenceEntry[]) =>
  encodePresenceSnapshot({ ...PEER, number, part, parts }, entries);
const changes = (first: number, ...list: (PresenceEntry | number)[]) =>
  encodePresenceChanges({ ...PEER, first }, list);
const heartbeat = (number: number, sender = PEER) =>
  encodePresence({ kind: "heartbeat", ...sender, number });
const gone = encodePresence({ kind: "gone", ...PEER });
const ask = (...instances: string[]) => encodePresence({ kind: "ask", ...PEER, instances });
const frames = (...messages: Uint8Array[]) => concat(messages.map((one) => encodeFrame(one)));
const many = (count: number) =>
  Array.from({ length: count }, (_, i) => entry(i, "r", `${i}`, `{"n":${i}}`));

export const PRESENCE_TARGETS: readonly Target[] = [
  {
    name: "presence_message",
    testSeeds: 8_000,
    examples: [
      snapshot(7, 0, 1, entry(1, "lobby", "ann", "{}"), entry(2, "é".repeat(50), "\ufeff")),
      snapshot(2 ** 47, 3, 300),
      changes(9, entry(1, "lobby", "ann", '"\ufffd"'), 2, 2 ** 40),
      heartbeat(0),
      ask(),
      ask(SELF.instance, HONEST.instance),
      gone,
      encodePresence({ kind: "gone", ...PEER, node: "" }),
    ],
    run: runMessage,
  },
  {
    name: "presence",
    framesFrom: 0,
    testSeeds: 4_000,
    examples: [
      frames(
        heartbeat(0),
        changes(1, entry(1, "lobby", "ann"), entry(2, "r", "zoe")),
        changes(3, 1),
      ),
      frames(changes(5, 1), snapshot(5, 0, 1, ...many(3)), changes(6, 1, 2), gone),
      frames(snapshot(9, 0, 2, ...many(12)), snapshot(9, 1, 2, entry(99, "", "x")), heartbeat(9)),
      frames(snapshot(9, 0, 2, ...many(3)), changes(10, 1), snapshot(9, 1, 2), heartbeat(12)),
      frames(snapshot(30, 0, 1, ...many(25)), changes(31, 1, 2, 3, entry(50, "r", "new"))),
      frames(heartbeat(1), ask(), ask(SELF.instance), heartbeat(1, HONEST), heartbeat(1, SELF)),
      frames(
        heartbeat(0),
        changes(1, entry(1, "r", "a", "1")),
        changes(2, entry(1, "r", "a", "2"), entry(1, "lobby", "ann"), entry(1, "r", "a")),
      ),
      frames(
        ...["33", "44", "55", "66"].map((byte) =>
          heartbeat(3, { instance: byte.repeat(8), node: "peer" })
        ),
      ),
      frames(heartbeat(0), changes(1, entry(1, "r", "an id too long")), changes(2, 1)),
      frames(encodePresence({ kind: "gone", ...HONEST })),
      frames(encodePresenceChanges({ ...HONEST, first: 6 }, [1])),
      frames(
        ...["20", "21", "22", "23", "24", "25"].map((byte) =>
          heartbeat(3, { instance: byte.repeat(8), node: "peer" })
        ),
      ),
    ],
    run: runPeer,
  },
];
