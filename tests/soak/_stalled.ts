/**
 * Clients that stop reading, in a process of their own: what they leave unread and then read counts in
 * no other's memory.
 */

import WebSocket from "ws";
import { lines } from "../../examples/chat/node_process.ts";
import { SLOW_CODE } from "./_account.ts";
import { type Command, say } from "./_protocol.ts";

/** The number of the first client; the others follow downwards. */
const FIRST = -100;

/** A client that connects and reads nothing until it wakes. */
class StalledClient {
  readonly #socket: WebSocket;
  /** The code that it was closed with. */
  readonly #ended: Promise<number>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.#ended = new Promise((resolve) => socket.once("close", resolve));
  }

  /** Connects. Rejects if it is refused. */
  static connect(url: string): Promise<StalledClient> {
    const { promise, resolve, reject } = Promise.withResolvers<StalledClient>();
    const socket = new WebSocket(url, { perMessageDeflate: false });
    // Its connection may be cut. Once it is open, `close` tells of that.
    socket.on("error", reject);
    socket.once("open", () => {
      socket.pause();
      resolve(new StalledClient(socket));
    });
    return promise;
  }

  /** Reads what there is. True if it was told that it was slow, false if it was cut off. */
  async wake(): Promise<boolean> {
    this.#socket.resume();
    return await this.#ended === SLOW_CODE;
  }
}

const stalled: StalledClient[] = [];

/** Has clients connect that read nothing: each is in a room of others, and in one of its own. */
async function stall({ port, life, rooms }: Extract<Command, { do: "stall" }>): Promise<void> {
  const connecting = rooms.map((room, i) =>
    StalledClient.connect(`ws://127.0.0.1:${port}/${life}/${room}/stalled-${i}/${FIRST - i}`)
  );
  stalled.push(...await Promise.all(connecting));
  say({ type: "stalled" });
}

async function wake(count: number): Promise<void> {
  const told = await Promise.all(stalled.splice(0, count).map((client) => client.wake()));
  const closed = told.filter((isTold) => isTold).length;
  say({ type: "woken", closed, cut: count - closed });
}

for await (const line of lines(Deno.stdin.readable)) {
  const command: Command = JSON.parse(line);
  if (command.do === "stall") await stall(command);
  else if (command.do === "wake") await wake(command.count);
}
// All is done, or the process that has started this one is gone.
Deno.exit();
