/**
 * Sockets as a C program has them, by the C library of Linux: a read that waits for nothing, and a
 * wait for many. Neither costs more than the system call. What a runtime adds to each read (readiness
 * from its event loop, a promise) is as much again, and would be the generator's, not the contender's.
 */

// Lengths are `size_t`, but ours are short: as `u32` they need no BigInt, which is slow.
const library = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  memchr: { parameters: ["buffer", "i32", "u32"], result: "usize" },
  ppoll: { parameters: ["buffer", "u64", "buffer", "pointer"], result: "i32" },
});
const { symbols: libc } = library;

// From the headers of Linux.
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const POLLIN = 1;

const ADDRESS_BYTES = 16;
const POLL_BYTES = 8;
const POLL_RESULT_OFFSET = 6;
const TIMESPEC_BYTES = 16;
const NANOS_PER_MILLI = 1_000_000;

/**
 * Connects to a port of an IPv4 address.
 *
 * @throws {Error} if nobody listens there.
 */
export function connectTo(hostname: string, port: number): number {
  const address = new Uint8Array(ADDRESS_BYTES);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  address.set(hostname.split(".").map(Number), 4);
  const socket = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw new Error("no more sockets: see ulimit -n");
  if (libc.connect(socket, address, ADDRESS_BYTES) !== 0) {
    libc.close(socket);
    throw new Error(`nobody listens at ${hostname}:${port}`);
  }
  libc.setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, Uint8Array.of(1, 0, 0, 0), 4);
  return socket;
}

/** Reads what is there. -1: nothing is, or the connection has broken; 0: it has ended. */
export function receive(socket: number, buffer: Uint8Array<ArrayBuffer>): number {
  return libc.recv(socket, buffer, buffer.length, MSG_DONTWAIT);
}

/** Writes as much as there is room for, and returns how much that was. */
export function transmit(socket: number, bytes: Uint8Array<ArrayBuffer>): number {
  return Math.max(0, libc.send(socket, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/** Has the system hold little of what is not read, so that it soon gathers at the server. */
export function holdLittle(socket: number): void {
  libc.setsockopt(socket, SOL_SOCKET, SO_RCVBUF, Uint8Array.of(0, 0x10, 0, 0), 4);
}

/** The memory that was searched last. All clients read into the same. */
let searched = { memory: new ArrayBuffer(0), address: 0n };

/**
 * Where a byte is between two places in a long buffer; -1 if it is not there. `indexOf` of typed arrays
 * looks at one byte after the other, which takes three times as long for 1 KiB.
 */
export function findByte(
  bytes: Uint8Array<ArrayBuffer>,
  byte: number,
  start: number,
  end: number,
): number {
  if (searched.memory !== bytes.buffer) {
    const pointer = Deno.UnsafePointer.of(new Uint8Array(bytes.buffer));
    searched = { memory: bytes.buffer, address: Deno.UnsafePointer.value(pointer) };
  }
  const found = libc.memchr(bytes.subarray(start, end), byte, end - start);
  return found === 0n ? -1 : Number(found - searched.address) - bytes.byteOffset;
}

/** Closes a socket. */
export function closeSocket(socket: number): void {
  libc.close(socket);
}

/** Waits until one of several sockets has something to read. */
export class Poll {
  readonly #entries: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #time = new Uint8Array(TIMESPEC_BYTES);
  readonly #timeView = new DataView(this.#time.buffer);
  readonly #count: number;

  constructor(sockets: readonly number[]) {
    this.#count = sockets.length;
    this.#entries = new Uint8Array(Math.max(1, sockets.length) * POLL_BYTES);
    this.#view = new DataView(this.#entries.buffer);
    for (const [i, socket] of sockets.entries()) {
      this.#view.setInt32(i * POLL_BYTES, socket, true);
      this.#view.setInt16(i * POLL_BYTES + 4, POLLIN, true);
    }
  }

  /** Waits so long at most. Returns how many have something, or have ended. */
  wait(ms: number): number {
    const nanos = Math.max(0, Math.round(ms * NANOS_PER_MILLI));
    const nanosPerSecond = 1000 * NANOS_PER_MILLI;
    this.#timeView.setBigInt64(0, BigInt(Math.floor(nanos / nanosPerSecond)), true);
    this.#timeView.setBigInt64(8, BigInt(nanos % nanosPerSecond), true);
    return libc.ppoll(this.#entries, BigInt(this.#count), this.#time, null);
  }

  /** True if the socket of that index was among them. */
  isReadable(index: number): boolean {
    return this.#view.getInt16(index * POLL_BYTES + POLL_RESULT_OFFSET, true) !== 0;
  }
}

const nobody = new Poll([]);

/** Sleeps, and has nothing else run meanwhile: finer than timers are. */
export function sleepFor(ms: number): void {
  if (ms > 0) nobody.wait(ms);
}
