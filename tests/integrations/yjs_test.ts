/**
 * The Yjs example as two processes, and clients of `y-websocket` as they are.
 */

import { assert, assertEquals } from "@std/assert";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { startMesh } from "../../mod.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { ExampleProcess } from "../cluster/_example_process.ts";
import { exampleOf } from "../cluster/_recipe.ts";
import { COOKIE } from "../mesh/_cluster.ts";

const CLIENTS_PER_SERVER = 3;
const EDITS_PER_CLIENT = 150;

/** How long a client waits before it tries again. */
const MAX_BACKOFF_MS = 200;

const example = await exampleOf("examples/yjs/");

/** An editor: a document, and what connects it to a server. */
class Editor implements AsyncDisposable {
  readonly doc: Y.Doc = new Y.Doc();
  readonly provider: WebsocketProvider;

  constructor(server: ExampleProcess, name: string) {
    // Editors of one process would otherwise hear each other without any server.
    const options = { disableBc: true, maxBackoffTime: MAX_BACKOFF_MS };
    this.provider = new WebsocketProvider(`ws://127.0.0.1:${server.port}`, name, this.doc, options);
  }

  get text(): Y.Text {
    return this.doc.getText("text");
  }

  /** Resolves when the server has said that this is all it has. */
  async synced(): Promise<void> {
    if (this.provider.synced) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.provider.on("sync", (isSynced: boolean) => isSynced && resolve());
    await within("a client being in sync", promise);
  }

  /** Resolves when `holds` does, which changes of the document or of awareness may bring about. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => holds() && resolve();
    this.doc.on("update", check);
    this.provider.awareness.on("update", check);
    check();
    try {
      await within(what, promise);
    } finally {
      this.doc.off("update", check);
      this.provider.awareness.off("update", check);
    }
  }

  /** The name that another client has told, if it has. */
  nameOf(other: Editor): unknown {
    return this.provider.awareness.getStates().get(other.doc.clientID)?.name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { ws } = this.provider;
    const closed = new Promise<unknown>((resolve) => ws?.addEventListener("close", resolve));
    this.provider.destroy();
    this.doc.destroy();
    if (ws !== null && ws.readyState !== WebSocket.CLOSED) await closed;
    // The provider leaves one timer to itself, which is due by then.
    await new Promise((resolve) => setTimeout(resolve, MAX_BACKOFF_MS + 1));
  }
}

/** Two servers that are linked, or about to be. */
async function startServers(
  stack: AsyncDisposableStack,
): Promise<[ExampleProcess, ExampleProcess]> {
  const one = stack.use(await ExampleProcess.start(example));
  const two = stack.use(await ExampleProcess.start(example, { seeds: [one.address] }));
  return [one, two];
}

/** Numbers from 0 to below 2³², always the same from a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let mixed = Math.imul(seed ^ seed >>> 15, seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return (mixed ^ mixed >>> 14) >>> 0;
  };
}

/** Inserts, deletes, sets keys and pushes to lists, anywhere. */
function editAnything({ doc, text }: Editor, random: () => number): void {
  const at = random() % (text.length + 1);
  const list = doc.getArray<number>("list");
  switch (random() % 5) {
    case 0:
      return text.delete(at, Math.min(random() % 4, text.length - at));
    case 1:
      doc.getMap("map").set(`key ${random() % 5}`, random());
      return;
    case 2:
      return list.length > 10 ? list.delete(random() % list.length) : list.push([random()]);
    default:
      return text.insert(at, ["a", "é", "😀", "long ".repeat(20)][random() % 4]);
  }
}

/** Resolves when all have the same document, with all changes of all. */
async function converge(editors: readonly Editor[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const check = () => new Set(editors.map(summary)).size === 1 && resolve();
  for (const { doc } of editors) doc.on("update", check);
  check();
  try {
    await within("clients having the same document", promise);
  } finally {
    for (const { doc } of editors) doc.off("update", check);
  }
}

/** What is in a document, and how many changes of each client it knows. */
function summary({ doc, text }: Editor): string {
  const changes = [...Y.decodeStateVector(Y.encodeStateVector(doc))].sort(([a], [b]) => a - b);
  const map = [...doc.getMap("map")].sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([changes, text.toJSON(), map, doc.getArray("list").toJSON()]);
}

Deno.test("a y-websocket client's edit reaches the clients of both servers", async () => {
  await using stack = new AsyncDisposableStack();
  const [one, two] = await startServers(stack);
  const [ann, ben, cem] = [one, one, two].map((server) => stack.use(new Editor(server, "notes")));
  const elsewhere = stack.use(new Editor(two, "letters"));
  for (const editor of [ann, ben, cem, elsewhere]) await editor.synced();

  ann.text.insert(0, "Hello from one. ");
  cem.text.insert(0, "Hello from two. ");
  await converge([ann, ben, cem]);
  assert(ben.text.toJSON().includes("from one") && ben.text.toJSON().includes("from two"));
  assertEquals(elsewhere.text.toJSON(), "");
});

Deno.test("a client that comes late has the document as soon as it is in sync", async () => {
  await using stack = new AsyncDisposableStack();
  const [one, two] = await startServers(stack);
  const ann = stack.use(new Editor(one, "notes"));
  await ann.synced();
  ann.text.insert(0, "x".repeat(100_000));
  const witness = stack.use(new Editor(one, "notes"));
  await witness.until("the text being on the server", () => witness.text.length === 100_000);

  // The second server has never heard of the document. It must not pass an empty one on.
  const late = stack.use(new Editor(two, "notes"));
  await late.synced();
  assertEquals(late.text.length, 100_000);
});

Deno.test("clients of both servers know who is present and who has left", async () => {
  await using stack = new AsyncDisposableStack();
  const [one, two] = await startServers(stack);
  const ann = stack.use(new Editor(one, "notes"));
  await ann.synced();
  ann.provider.awareness.setLocalStateField("name", "Ann");
  const ben = stack.use(new Editor(two, "notes"));
  ben.provider.awareness.setLocalStateField("name", "Ben");
  await ben.until("Ben seeing Ann", () => ben.nameOf(ann) === "Ann");
  await ann.until("Ann seeing Ben", () => ann.nameOf(ben) === "Ben");

  // A tab that crashes says nothing: the server notices that its socket has closed.
  const gone = ben.provider.ws;
  ben.provider.shouldConnect = false;
  gone?.close();
  await ann.until("Ben having gone", () => ann.nameOf(ben) === undefined);
  assertEquals(ann.nameOf(ann), "Ann");
});

const MALFORMED: Record<string, string | Uint8Array<ArrayBuffer>> = {
  "a text": "hello",
  "nothing": new Uint8Array(),
  "a change that is cut off": Uint8Array.of(0, 2, 5, 1, 1),
  "a change that is none": Uint8Array.of(0, 2, 3, 255, 255, 255),
  "awareness that is not JSON": Uint8Array.of(1, 5, 1, 1, 1, 1, 123),
  "only high bits": new Uint8Array(1_000).fill(255),
};

Deno.test("a client that sends nonsense is cut off, and disturbs nobody", async () => {
  await using stack = new AsyncDisposableStack();
  const [one, two] = await startServers(stack);
  const [ann, ben] = [one, two].map((server) => stack.use(new Editor(server, "notes")));
  for (const editor of [ann, ben]) await editor.synced();
  for (const [name, message] of Object.entries(MALFORMED)) {
    const socket = new WebSocket(`ws://127.0.0.1:${one.port}/notes`);
    const { promise: closed, resolve } = Promise.withResolvers<CloseEvent>();
    socket.onclose = resolve;
    socket.onopen = () => socket.send(message);
    assertEquals((await within(`the end after ${name}`, closed)).code, 1007, name);
    ann.text.insert(0, name);
    await converge([ann, ben]);
  }
});

Deno.test("servers that find each other late merge the documents of their clients", async () => {
  await using stack = new AsyncDisposableStack();
  const one = stack.use(await ExampleProcess.start(example));
  const two = stack.use(await ExampleProcess.start(example));
  const [ann, ben] = [one, two].map((server) => stack.use(new Editor(server, "notes")));
  for (const editor of [ann, ben]) await editor.synced();
  ann.text.insert(0, "Ann was here. ");
  ben.text.insert(0, "Ben was here. ");
  ann.provider.awareness.setLocalStateField("name", "Ann");

  // Both hear of each other from this node, and link.
  const seeds = [one.address, two.address];
  stack.use(await startMesh({ name: "bridge@127.0.0.1:0", cookie: COOKIE, seeds }));
  await converge([ann, ben]);
  assert(ann.text.toJSON().includes("Ben") && ann.text.toJSON().includes("Ann"));
  await ben.until("Ben seeing Ann", () => ben.nameOf(ann) === "Ann");
});

Deno.test("clients converge after random edits at once and a restart of a server", async () => {
  const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`SEED=${seed}`);
  const random = randomFrom(seed);
  await using stack = new AsyncDisposableStack();
  const [one, two] = await startServers(stack);
  const editors = [one, two].flatMap((server) => {
    return Array.from({ length: CLIENTS_PER_SERVER }, () => {
      return stack.use(new Editor(server, "notes"));
    });
  });
  for (const editor of editors) await editor.synced();

  const burst = async () => {
    for (let i = 0; i < EDITS_PER_CLIENT * editors.length; i++) {
      editAnything(editors[random() % editors.length], random);
      // Now and then the event loop turns, so edits and deliveries interleave.
      if (random() % 16 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  };
  await burst();
  await converge(editors);

  // Killed in the middle of a burst, and started again: its clients write on in the meantime.
  const writing = burst();
  await two[Symbol.asyncDispose]();
  await writing;
  await burst();
  stack.use(await ExampleProcess.start(example, { seeds: [one.address], like: two }));
  for (const editor of editors) await editor.synced();
  await converge(editors);

  const late = stack.use(new Editor(two, "notes"));
  await late.synced();
  assertEquals(summary(late), summary(editors[0]));
});
