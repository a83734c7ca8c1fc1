/**
 * What anybody in the process may post to the channel of a backplane between workers. An input is a
 * row of decisions: which post, and what is wrong with it. Nothing is thrown at who posts, what is
 * wrong is reported, and what is delivered are the messages of a post, all or none; of a post with which
 * nothing is wrong, all.
 */

import { concat } from "@std/bytes";
import { broadcastChannelBackplane } from "../../backplanes/broadcast_channel.ts";
import { encodeFrame, encodeRoomBroadcast } from "../../codec/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { Choices } from "./_choices.ts";
import { referenceFrames } from "./_reference.ts";
import { check, checkSame, type Target } from "./_target.ts";

const MAX_MESSAGE_BYTES = 64;
const MAX_POSTS = 64;
/** By then whoever does not say anything any more is gone, and what waits is given up. */
const SILENT_MS = 10_000;

const OWN_ID = "07".repeat(8);
const IDS = ["worker", "other", "", OWN_ID, "x".repeat(64), "x".repeat(65), "__proto__"];
const MESSAGE = encodeRoomBroadcast("r", "m");
const FRAMES = [
  encodeFrame(MESSAGE),
  concat([encodeFrame(MESSAGE), encodeFrame(Uint8Array.of(0x1e)), encodeFrame(MESSAGE)]),
  concat([encodeFrame(MESSAGE), encodeFrame(new Uint8Array(MAX_MESSAGE_BYTES + 1))]),
  encodeFrame(MESSAGE).slice(0, -1),
  new Uint8Array(),
];
const JUNK: readonly unknown[] = [
  ...[undefined, null, NaN, -1, 0, 1, 0.5, 3, 2 ** 53, Infinity, "", "data", "worker", true, []],
  ...[{}, [0, 0], [1, 2, 3], [-1, 0], { worker: -1 }, { [OWN_ID]: 9 }, new Uint8Array(3), 10n],
  new ArrayBuffer(8),
];

type Post = Record<string, unknown>;

function readPost(choices: Choices): { post: unknown; isValid: boolean } {
  const kind = choices.pick(["data", "data", "data", "here", "ack", "bye", "lane", "junk"]);
  if (kind === "junk") return { post: choices.pick(JUNK), isValid: false };
  const from = choices.pick(IDS.slice(0, 3));
  const number = choices.byte();
  const frames = choices.pick(FRAMES).slice();
  const posts: Record<string, Post> = {
    data: { kind: "data", from, post: number, lane: 0, first: number, frames },
    lane: { kind: "data", from, post: number, lane: 1, first: number, to: OWN_ID, frames },
    here: { kind: "here", from, hello: true, posted: number, sent: [number, 0], read: {} },
    ack: { kind: "ack", from, to: OWN_ID, post: number },
    bye: { kind: "bye", from, sent: [number, 0] },
  };
  const post = posts[kind];
  let isValid = true;
  for (let edits = choices.byte() % 3; edits > 0; edits--) {
    isValid = false;
    const field = choices.pick(Object.keys(post));
    if (field === "from") post.from = choices.pick(IDS);
    else if (field === "frames" && choices.byte() % 2 === 0) post.frames = choices.take(20);
    else post[field] = choices.pick(JUNK);
  }
  return { post, isValid: isValid && kind === "data" };
}

async function run(input: Uint8Array): Promise<string> {
  const timers = new FakeTimers();
  let receive = (_: { data: unknown }) => {};
  const posted: unknown[] = [];
  const backplane = broadcastChannelBackplane({
    cluster: "fuzz",
    maxMessageBytes: MAX_MESSAGE_BYTES,
    timers,
    randomBytes: (size) => new Uint8Array(size).fill(7),
    openChannel: () => ({
      postMessage: (message) => posted.push(structuredClone(message)),
      addEventListener: (_, listener) => receive = listener,
      close: () => {},
    }),
  });
  checkSame(backplane.id, OWN_ID, "the identity");
  let heard: string[] = [];
  backplane.subscribe((bytes) => heard.push(bytes.toHex()));
  let malformed = 0;
  backplane.addEventListener("malformed", () => malformed++);

  const choices = new Choices(input);
  let messages = 0;
  for (let posts = 0; posts < MAX_POSTS && !choices.done; posts++) {
    const { post, isValid } = readPost(choices);
    heard = [];
    receive({ data: post });
    const { frames } = Object(post);
    const payloads = frames instanceof Uint8Array
      ? referenceFrames(frames, MAX_MESSAGE_BYTES).payloads.map((payload) => payload.toHex())
      : [];
    if (isValid || heard.length > 0) checkSame(heard, payloads, "heard");
    messages += heard.length;
    if (choices.byte() % 4 === 0) backplane.publish(MESSAGE);
  }
  checkSame(backplane.stats.messagesIn, messages, "messagesIn");
  checkSame(backplane.stats.malformed, malformed, "malformed");
  const peers = backplane.peers.length;
  await Promise.resolve(); // What was published is posted at the end of the turn.
  timers.advance(SILENT_MS);
  checkSame(backplane.peers.length, 0, "workers that are gone");
  const leaving = backplane.shutdown();
  timers.advance(SILENT_MS);
  await leaving;
  checkSame(timers.pending, 0, "timers left");
  check(posted.length <= 20 * (MAX_POSTS + 1), () => `${posted.length} posts`);
  return `${Math.min(peers, 3)} workers, ${Math.min(malformed, 3)} malformed, ${
    Math.min(messages, 5)
  } messages`;
}

export const WORKER_POST: Target = {
  name: "worker_post",
  testSeeds: 4_000,
  examples: [
    Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0),
    Uint8Array.of(3, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0),
    Uint8Array.of(4, 0, 9, 0, 0, 0, 5, 0, 1, 0, 0, 1, 6, 0, 3, 1, 1, 2, 5, 1),
    Uint8Array.of(0, 0, 0, 2, 1, 4, 5, 1, 7, 16, 1, 0, 1, 7, 1, 2, 5, 0, 1, 2, 3),
  ],
  run,
};
