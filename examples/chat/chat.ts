/**
 * The chat: handles what browsers send.
 *
 * This file uses roomcast, by `join`, `leave`, `roomsOf` and `broadcast`. The rest of it protects
 * clients from each other. An exception here closes only the client's own socket.
 *
 * A node does not know who is in a room on other nodes, because it uses no presence. It tells the
 * others by a broadcast when somebody comes or goes.
 */

import type { Rooms, ServerWebSocket } from "../../mod.ts";
import { BadFrameError, type ClientFrame, readClientFrame, type ServerFrame } from "./frames.ts";
import { TokenBucket } from "./token_bucket.ts";

const MAX_ROOMS_PER_CLIENT = 20;

/** How many frames a client may send at once, and per second in the long run. */
const BURST = 30;
const FRAMES_PER_SECOND = 5;

/** After this many refused frames in a row, the node closes the client's socket. */
const MAX_REFUSED = 60;

/** How many bytes of answers may wait for one client. `Rooms` limits the broadcasts that wait. */
const MAX_UNSENT_BYTES = 64 * 1024;

/** `readyState` of a socket that can send. */
const OPEN = 1;

/** Close codes of RFC 6455. */
const UNSUPPORTED_DATA = 1003;
const POLICY_VIOLATION = 1008;

type Said = ServerFrame & { type: "said" };
type Note = ServerFrame & { type: "note" };

interface Client {
  readonly socket: ServerWebSocket;
  readonly bucket: TokenBucket;
  refused: number;
  name?: string;
}

/** Serves the browsers that are connected to this node. */
export class Chat {
  readonly #node: string;
  readonly #rooms: Rooms<ServerWebSocket>;
  #stopping = false;

  /** `node` is the name of this node. It is added to every message that comes in through it. */
  constructor(node: string, rooms: Rooms<ServerWebSocket>) {
    this.#node = node;
    this.#rooms = rooms;
  }

  /** From now on, announces no more leaves, because the pages move to other nodes. */
  stop(): void {
    this.#stopping = true;
  }

  /** Serves a socket until it closes. */
  serve(socket: ServerWebSocket): void {
    const bucket = new TokenBucket({
      capacity: BURST,
      perSecond: FRAMES_PER_SECOND,
      now: performance.now(),
    });
    const client: Client = { socket, bucket, refused: 0 };
    socket.addEventListener("message", ({ data }) => this.#receive(client, data));
    // This listener must precede the one of the first `join`, which removes the socket from its rooms:
    // here the socket is still a member.
    socket.addEventListener("close", () => this.#farewell(client));
  }

  #receive(client: Client, data: unknown): void {
    const { socket } = client;
    // The client sent this before it knew that its socket is closed.
    if (socket.readyState !== OPEN) return;
    if (typeof data !== "string") return socket.close(UNSUPPORTED_DATA, "text only");
    if (!client.bucket.take(performance.now())) {
      if (++client.refused > MAX_REFUSED) socket.close(POLICY_VIOLATION, "far too many messages");
      else refuse(client, "slow-down", "too many messages, wait a moment");
      return;
    }
    client.refused = 0;
    try {
      this.#handle(client, readClientFrame(data));
    } catch (error) {
      if (!(error instanceof BadFrameError)) throw error;
      refuse(client, "bad-frame", error.message);
    }
  }

  #handle(client: Client, frame: ClientFrame): void {
    if (frame.type === "ping") return send(client, { type: "pong" });
    if (frame.type === "hello") {
      if (client.name === undefined) client.name = frame.name;
      else refuse(client, "not-allowed", "you have said hello already");
      return;
    }
    const { name } = client;
    if (name === undefined) return refuse(client, "not-allowed", "say hello first");
    switch (frame.type) {
      case "join":
        return this.#join(client, frame);
      case "leave":
        return this.#leave(client, frame.room);
      case "say":
        return this.#say(client, name, frame);
    }
  }

  #join(client: Client, { room, back }: ClientFrame & { type: "join" }): void {
    if (this.#rooms.roomsOf(client.socket).length >= MAX_ROOMS_PER_CLIENT) {
      refuse(client, "not-allowed", `at most ${MAX_ROOMS_PER_CLIENT} rooms at once`);
    } else if (this.#rooms.join(client.socket, room)) {
      this.#note(client, room, back ? "returned" : "joined");
    }
  }

  #leave(client: Client, room: string): void {
    if (this.#rooms.leave(client.socket, room)) this.#note(client, room, "left");
  }

  #say(client: Client, name: string, { room, text, id }: ClientFrame & { type: "say" }): void {
    if (!this.#rooms.roomsOf(client.socket).includes(room)) {
      return refuse(client, "not-allowed", `join ${room} first`, id);
    }
    const said: Said = { type: "said", room, id, name, text, node: this.#node, at: Date.now() };
    // The author gets it too: a message counts as sent when it comes back.
    const { dropped } = this.#rooms.broadcast(room, JSON.stringify(said));
    if (dropped > 0) refuse(client, "partly-lost", `${dropped} nodes are too slow for it`, id);
  }

  #farewell(client: Client): void {
    if (this.#stopping) return;
    for (const room of this.#rooms.roomsOf(client.socket)) this.#note(client, room, "left");
  }

  /** Tells the others in a room who has come or left. */
  #note({ name = "", socket }: Client, room: string, event: Note["event"]): void {
    const note: Note = { type: "note", room, name, event, node: this.#node, at: Date.now() };
    this.#rooms.broadcast(room, JSON.stringify(note), { except: socket });
  }
}

function refuse(
  client: Client,
  code: (ServerFrame & { type: "error" })["code"],
  message: string,
  id?: string,
): void {
  send(client, { type: "error", code, message, id });
}

function send({ socket }: Client, frame: ServerFrame): void {
  // A client that does not read its answers gets no more of them.
  if (socket.readyState !== OPEN || socket.bufferedAmount > MAX_UNSENT_BYTES) return;
  socket.send(JSON.stringify(frame));
}
