/**
 * Two honest ends of a TLS channel with somebody between them who damages what passes. An input is a
 * list of edits, {@linkcode EDIT_BYTES} bytes each: which way, what, where in the stream, how much.
 * Whatever is done, what an end reads is what the other has written, or less; both ends have the same
 * binding, if they have one; what fails in the handshake says why by a code; and when both are closed,
 * all that was waited for is over. Without an edit that takes hold all of it arrives.
 */

import {
  type Address,
  type Connection,
  type Listener,
  MeshError,
  tlsTransport,
  type Transport,
} from "../../mesh/mod.ts";
import { Random } from "../../testing/mod.ts";
import { check, checkSame, type Target } from "./_target.ts";
import { within } from "./_tls_stranger.ts";

const EDIT_BYTES = 6;
/** Positions are below this; what is said behind it is said undisturbed. */
const MAX_POSITION = 2048;
const MAX_AMOUNT = 600;
/** Of what each end says behind the handshake. */
const DATA_BYTES = 1500;
/** Nothing has moved for so long: both wait for something that will not come. */
const STALLED_MS = 15;
const UNDISTURBED_STALLED_MS = 8_000;

const CODES = ["closed", "peer-speaks-plain", "tls-failed", "untrusted-certificate"];
const ACTS = ["flip", "set", "drop", "noise", "repeat", "end", "break", "http"] as const;
const HTTP = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n");
const ADDRESS: Address = { hostname: "127.0.0.1", port: 1 };

interface Edit {
  readonly act: typeof ACTS[number];
  readonly at: number;
  readonly amount: number;
}

function readEdits(input: Uint8Array): [Edit[], Edit[]] {
  const edits: [Edit[], Edit[]] = [[], []];
  for (let at = 0; at + EDIT_BYTES <= input.length; at += EDIT_BYTES) {
    const [way, act, low, high, less, more] = input.subarray(at, at + EDIT_BYTES);
    edits[way % 2].push({
      act: ACTS[act % ACTS.length],
      at: (low + 256 * high) % MAX_POSITION,
      amount: (less + 256 * more) % MAX_AMOUNT,
    });
  }
  for (const list of edits) list.sort((a, b) => a.at - b.at);
  return edits;
}

/** One way: what is written comes out of it changed. */
class Way {
  /** Bytes that have been written to it, before any change. */
  position = 0;
  /** Edits that have taken hold. */
  readonly done: string[] = [];
  readonly #edits: Edit[];
  readonly #onMove: () => void;
  #waiting: number[] = [];
  #passed: number[] = [];
  #left = 0;
  #state: "open" | "ended" | "broken" = "open";
  #wake: () => void = () => {};

  constructor(edits: Edit[], onMove: () => void) {
    this.#edits = edits;
    this.#onMove = onMove;
  }

  write(bytes: Uint8Array): void {
    for (const byte of bytes) this.#pass(byte);
    this.position += bytes.length;
    this.#moved();
  }

  end(state: "ended" | "broken" = "ended"): void {
    if (this.#state === "open") this.#state = state;
    this.#moved();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#waiting.length === 0) {
      if (this.#state === "ended") return null;
      if (this.#state === "broken") {
        throw Object.assign(new Error("reset by peer"), { code: "ECONNRESET" });
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const piece = this.#waiting.splice(0, buffer.length);
    buffer.set(piece);
    return piece.length;
  }

  #moved(): void {
    this.#onMove();
    this.#wake();
  }

  #pass(byte: number): void {
    let passed = byte;
    while (this.#edits.length > 0 && this.#edits[0].at <= this.#passed.length) {
      const edit = this.#edits.shift();
      if (edit !== undefined) passed = this.#apply(edit, passed);
    }
    this.#passed.push(byte);
    if (this.#left > 0) this.#left--;
    else if (this.#state === "open") this.#waiting.push(passed);
  }

  #apply({ act, at, amount }: Edit, byte: number): number {
    const noise = new Random(at * MAX_AMOUNT + amount);
    // What changes nothing is none.
    if (act === "set" && byte === (amount & 0xff)) return byte;
    if ((act === "repeat" || act === "noise") && amount === 0) return byte;
    this.done.push(act);
    switch (act) {
      case "flip":
        return byte ^ 1 << amount % 8;
      case "set":
        return amount & 0xff;
      case "drop":
        this.#left = amount + 1;
        return byte;
      case "noise":
        this.#waiting.push(...noise.bytes(amount));
        return byte;
      case "repeat":
        this.#waiting.push(...this.#passed.slice(-amount));
        return byte;
      case "http":
        this.#waiting.push(...HTTP);
        return byte;
      default:
        this.#state = act === "end" ? "ended" : "broken";
        return byte;
    }
  }
}

function end(mine: Way, theirs: Way): Connection {
  return {
    remoteAddress: ADDRESS,
    read: (buffer) => theirs.read(buffer),
    write: (bytes) => {
      mine.write(bytes);
      return Promise.resolve(bytes.length);
    },
    closeWrite: () => Promise.resolve(mine.end()),
    close: () => {
      mine.end();
      theirs.end();
    },
  };
}

/** How it went for one end. */
interface Fate {
  connection: Connection | undefined;
  read: number[];
  isWhole: boolean;
  error: unknown;
}

function data(seed: number): Uint8Array {
  return new Random(seed).bytes(DATA_BYTES);
}

async function talk(connection: Connection, seed: number, fate: Fate): Promise<void> {
  fate.connection = connection;
  const speaking = (async () => {
    const bytes = data(seed);
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    await connection.closeWrite();
  })();
  // What goes wrong with it is told by reading as well.
  speaking.catch(() => {});
  const buffer = new Uint8Array(1024);
  for (;;) {
    const size = await connection.read(buffer);
    if (size === null) break;
    fate.read.push(...buffer.subarray(0, size));
  }
  fate.isWhole = true;
  await speaking;
}

/** Takes in whatever is put through it; its certificate is made once. */
class Relay {
  #next: [Connection, Connection] | undefined;
  readonly transport: Transport = tlsTransport(undefined, {
    listen: () =>
      Promise.resolve({
        address: ADDRESS,
        accept: () => Promise.resolve(this.#ends()[1]),
        close: () => {},
      }),
    connect: () => Promise.resolve(this.#ends()[0]),
  });
  readonly #listener: Promise<Listener> = this.transport.listen(ADDRESS);

  async listen(): Promise<Listener> {
    return await this.#listener;
  }

  put(ends: [Connection, Connection]): void {
    this.#next = ends;
  }

  #ends(): [Connection, Connection] {
    if (this.#next === undefined) throw new Error("nothing to relay");
    return this.#next;
  }
}

let relay: Relay | undefined;

async function run(input: Uint8Array): Promise<string> {
  const edits = readEdits(input);
  relay ??= new Relay();
  const listener = await relay.listen();
  const stalled = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onMove = () => {
    clearTimeout(timer);
    const isDisturbed = ways.some(({ done }) => done.length > 0);
    timer = setTimeout(
      () => stalled.abort(new Error("stalled")),
      isDisturbed ? STALLED_MS : UNDISTURBED_STALLED_MS,
    );
  };
  const ways = edits.map((list) => new Way(list, onMove));
  const ends: [Connection, Connection] = [end(ways[0], ways[1]), end(ways[1], ways[0])];
  relay.put(ends);
  stalled.signal.addEventListener("abort", () => ends.forEach((end) => end.close()));

  const fates = [0, 1].map((): Fate => (
    { connection: undefined, read: [], isWhole: false, error: undefined }
  ));
  const [dialler, acceptor] = fates;
  const accepting = listener.accept();
  const dialling = relay.transport.connect(ADDRESS, { signal: stalled.signal });
  const settled = (work: Promise<void>, fate: Fate) =>
    work.catch((error) => {
      fate.error = error;
      // So does a node; the other end then need not wait.
      fate.connection?.close();
    });
  onMove();
  try {
    await within(Promise.all([
      settled(dialling.then((connection) => talk(connection, 1, dialler)), dialler),
      settled(accepting.then((connection) => talk(connection, 2, acceptor)), acceptor),
    ]));
  } finally {
    clearTimeout(timer);
  }
  fates.forEach(({ connection }) => connection?.close());
  clearTimeout(timer);

  return judge(fates, ways.flatMap(({ done }) => done), stalled.signal.aborted);
}

function judge([dialler, acceptor]: Fate[], done: string[], isStalled: boolean): string {
  const bindings = [dialler, acceptor].map(({ connection }) => connection?.binding?.toHex());
  if (bindings[0] && bindings[1]) checkSame(bindings[0], bindings[1], "the binding");
  checkRead(dialler, data(2));
  checkRead(acceptor, data(1));
  const codes = [dialler, acceptor].map(({ connection, error, read, isWhole }) => {
    if (error === undefined) return isWhole ? `${read.length === DATA_BYTES}` : "nothing";
    const isSecure = connection?.binding !== undefined;
    if (isSecure) return "broken";
    check(error instanceof MeshError, () => `ends without a code: ${error}`);
    check(CODES.includes(error.code), error.code);
    return error.code;
  });
  if (done.length === 0) checkSame([...codes, isStalled], ["true", "true", false], "undisturbed");
  return `${done[0] ?? "none"}: ${codes}`;
}

function checkRead({ read }: Fate, expected: Uint8Array): void {
  check(read.every((byte, i) => byte === expected[i]), "what is read was never written");
}

const edit = (way: number, act: typeof ACTS[number], at: number, amount: number) =>
  Uint8Array.of(way, ACTS.indexOf(act), at & 0xff, at >> 8, amount & 0xff, amount >> 8);

export const TLS_MIDDLE: Target = {
  name: "tls_middle",
  testSeeds: 100,
  hasFreshKeys: true,
  examples: [
    new Uint8Array(),
    ...ACTS.flatMap((act) => [
      edit(0, act, 3, 40),
      edit(1, act, 300, 2),
      edit(0, act, 700, 30),
      edit(1, act, 1500, 300),
    ]),
  ],
  run,
};
