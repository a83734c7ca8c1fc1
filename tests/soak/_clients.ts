/**
 * Thousands of WebSocket clients in a process of their own: `_clients.ts <clients> <nodes> <sample ms>`.
 * Each belongs to one node and returns to it whenever it is back; each is in one room, whose members
 * are spread over all nodes. They say something at a steady rate, all together.
 */

import { lines } from "../../examples/chat/node_process.ts";
import { Hearing, readTally } from "./_hearing.ts";
import { type Command, guarded, memory, now, say } from "./_protocol.ts";
import { ANNOUNCED_MS } from "./_limits.ts";
import { EXPELLED, homeOf, isSelective, roomsOf } from "./_rooms.ts";
import { readStamp } from "./_stamp.ts";

/**
 * Messages a second of all clients together. With the nodes' own that makes some 4,000 deliveries to
 * clients: a third of what one core can do, so that what is late is late because of a fault.
 */
const MESSAGES_PER_SECOND = 400;
const TICK_MS = 10;
/** How many clients of a node connect at a time. */
const MAX_CONNECTING = 32;
/** One message of so many is binary. */
const BINARY_PART = 8;
/** How long a client waits that its node has closed, or whose connection has ended without a reason. */
const RETRY_MS = 1_000;

/** Where a node serves. */
interface Target {
  readonly life: string;
  readonly port: number;
}

const [clientCount, nodeCount, sampleMs] = Deno.args.map(Number);
let isQuiet = false;
let heard = 0;
let said = 0;
let agreed = 0;

/** The clients of one node. */
class Clients {
  readonly #node: number;
  readonly #waiting: Client[] = [];
  readonly open = new Set<Client>();
  readonly size: number;
  /** Clients that wait until they try again. */
  readonly #resting = new Map<Client, ReturnType<typeof setTimeout>>();
  #target: Target | undefined;
  #connecting = 0;

  constructor(node: number) {
    this.#node = node;
    for (let id = 0; id < clientCount; id++) {
      if (homeOf(id, nodeCount) === node) this.#waiting.push(new Client(id, node, this));
    }
    this.size = this.#waiting.length;
  }

  /** The node serves again, or for the first time. */
  serve(target: Target): void {
    this.#target = target;
    for (const [client, timer] of this.#resting) {
      clearTimeout(timer);
      this.#waiting.push(client);
    }
    this.#resting.clear();
    this.#connect();
  }

  opened(client: Client): void {
    this.#connecting--;
    this.open.add(client);
    if (this.#target && this.open.size === this.size) {
      say({ type: "connected", at: now(), node: this.#node, life: this.#target.life });
    }
    this.#connect();
  }

  closed(client: Client, life: string): void {
    if (!this.open.delete(client)) this.#connecting--;
    if (isQuiet) {
      if (nodes.every(({ open }) => open.size === 0)) say({ type: "done", said, heard, agreed });
    } else if (this.#target?.life === life) {
      this.#resting.set(client, setTimeout(() => this.#tryAgain(client), RETRY_MS));
    } else {
      this.#tryAgain(client);
    }
  }

  #tryAgain(client: Client): void {
    this.#resting.delete(client);
    this.#waiting.push(client);
    this.#connect();
  }

  /** Lets clients connect, as many at a time as may. */
  #connect(): void {
    while (this.#target && !isQuiet && this.#connecting < MAX_CONNECTING) {
      const client = this.#waiting.shift();
      if (client === undefined) return;
      this.#connecting++;
      client.connect(this.#target);
    }
  }
}

/** One client, from connection to connection. */
class Client {
  readonly #id: number;
  readonly #node: number;
  readonly #owner: Clients;
  #socket: WebSocket | undefined;
  #hearing: Hearing;
  #isExpelled = false;

  constructor(id: number, node: number, owner: Clients) {
    this.#id = id;
    this.#node = node;
    this.#owner = owner;
    this.#hearing = new Hearing(id, node);
  }

  connect({ life, port }: Target): void {
    const announcedAt = isSelective(this.#node) ? now() + ANNOUNCED_MS : 0;
    const hearing = this.#hearing = new Hearing(this.#id, this.#node, announcedAt);
    const [room, table] = roomsOf(this.#id);
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${life}/${room}/${table}/${this.#id}`);
    socket.binaryType = "arraybuffer";
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      this.#socket = socket;
      if (this.#isExpelled) say({ type: "returned" });
      this.#isExpelled = false;
      this.#owner.opened(this);
    };
    socket.onmessage = ({ data }) => {
      heard++;
      guarded(() => {
        const stamp = readStamp(data);
        const count = hearing.hear(stamp, now());
        if (count > 0) say({ type: "gap", life, sender: stamp.life, count });
      });
    };
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) => {
      this.#socket = undefined;
      if (code === EXPELLED) {
        this.#isExpelled = true;
        say({ type: "expelled" });
      }
      const tally = readTally(reason);
      if (tally) {
        guarded(() => {
          hearing.compare(tally, isQuiet);
          agreed++;
        });
      } else if (wasOpen) {
        noteClosed(life, code);
      }
      this.#owner.closed(this, life);
    };
  }

  say(content: string | Uint8Array<ArrayBuffer>): void {
    this.#hearing.said++;
    this.#socket?.send(content);
  }
}

/** Connections that have closed lately without a tally, by life and code. */
const closed = new Map<string, number>();

function noteClosed(life: string, code: number): void {
  if (closed.size === 0) setTimeout(reportClosed, TICK_MS);
  const key = `${life} ${code}`;
  closed.set(key, (closed.get(key) ?? 0) + 1);
}

function reportClosed(): void {
  for (const [key, count] of closed) {
    const [life, code] = key.split(" ");
    say({ type: "closed", life, code: Number(code), count });
  }
  closed.clear();
}

/** Mostly a line of chat, now and then much more, or bytes. */
function something(): string | Uint8Array<ArrayBuffer> {
  const dice = Math.random();
  const size = dice < 0.001 ? 60_000 : dice < 0.02 ? 4_000 : 20 + Math.floor(dice * 180);
  return Math.random() < 1 / BINARY_PART ? new Uint8Array(size) : "x".repeat(size);
}

/** Somebody who is connected. */
function somebody(): Client | undefined {
  const { open } = nodes[Math.floor(Math.random() * nodes.length)];
  let place = Math.floor(Math.random() * open.size);
  for (const client of open) {
    if (place-- === 0) return client;
  }
  return undefined;
}

const nodes = Array.from({ length: nodeCount }, (_, node) => new Clients(node));
const startedAt = performance.now();
let due = 0;
const speaker = setInterval(() => {
  const target = (performance.now() - startedAt) * MESSAGES_PER_SECOND / 1000;
  // What was not said while this process itself was late is not caught up with.
  due = Math.max(due, target - MESSAGES_PER_SECOND);
  for (; due < target; due++) {
    const client = somebody();
    if (client === undefined) continue;
    client.say(something());
    said++;
  }
}, TICK_MS);
setInterval(() => say({ type: "memory", memory: memory() }), sampleMs);

for await (const line of lines(Deno.stdin.readable)) {
  const command: Command = JSON.parse(line);
  if (command.do === "up") {
    nodes[command.node].serve(command);
  } else if (command.do === "quiet") {
    clearInterval(speaker);
    isQuiet = true;
    say({ type: "quiet" });
  }
}
// All is said and done, or whoever has started this process is gone.
Deno.exit();
