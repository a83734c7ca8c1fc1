import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import * as awareness from "y-protocols/awareness";
import * as sync from "y-protocols/sync";
import * as Y from "yjs";
import type { Rooms, ServerWebSocket } from "../../mod.ts";

/** The first number of each message of `y-websocket`. */
const SYNC = 0;
const AWARENESS = 1;
const QUERY_AWARENESS = 3;

/** How long clients wait for servers that do not answer, in milliseconds. */
const ANSWER_LIMIT_MS = 1_000;

/** One tab has one id. More are somebody who fills the memory. */
const MAX_IDS_PER_SOCKET = 100;

/** Where a change comes from, if not from a socket. */
type Origin = ServerWebSocket | "broadcast" | "answer";

type AwarenessChange = Record<"added" | "updated" | "removed", number[]>;

/**
 * A document on this server, with what its clients say about themselves (awareness).
 *
 * Clients and servers share one room per document. A client's change is broadcast once, in the bytes
 * of `y-websocket`: the clients of all servers hear it, and a listener on each server applies it.
 *
 * A server that opens a document asks the others. The question goes to a room that only servers listen
 * to, and the answers come to a room of the one that asks.
 */
export class SharedDocument {
  readonly #name: string;
  readonly #rooms: Rooms<ServerWebSocket>;
  readonly #doc = new Y.Doc();
  readonly #awareness = new awareness.Awareness(this.#doc);
  /** The sockets, each with the ids that it has spoken for. */
  readonly #clients = new Map<ServerWebSocket, Set<number>>();
  readonly #questions: string;
  readonly #answers: string;
  readonly #hearing: Disposable[];
  /** Sockets that want the document, while the other servers have not answered. */
  #waiting: Set<ServerWebSocket> | undefined = new Set();
  #expectedAnswers = 0;
  readonly #answerLimit: ReturnType<typeof setTimeout>;

  /** Opens the document, and asks the other servers for it. */
  constructor(name: string, rooms: Rooms<ServerWebSocket>) {
    this.#name = name;
    this.#rooms = rooms;
    // No client can name these, because they contain a slash.
    this.#questions = `${name}/questions`;
    this.#answers = `${name}/answers/${crypto.randomUUID()}`;
    this.#awareness.setLocalState(null); // a server has no cursor
    this.#doc.on("update", (update: Uint8Array, origin: Origin) => {
      this.#spread(encode(SYNC, (encoder) => sync.writeUpdate(encoder, update)), origin);
    });
    this.#awareness.on("update", (change: AwarenessChange, origin: unknown) => {
      this.#changed(change, origin);
    });
    this.#hearing = [
      rooms.listen(name, (message) => this.#apply(message, "broadcast")),
      rooms.listen(this.#questions, (message) => this.#answer(message)),
      rooms.listen(this.#answers, (message) => this.#hearAnswer(message)),
    ];
    this.#expectedAnswers = this.askOtherServers();
    this.#answerLimit = setTimeout(() => this.#becomeReady(), ANSWER_LIMIT_MS);
    if (this.#expectedAnswers === 0) this.#becomeReady();
  }

  /** Asks for what is missing here, and returns how many servers were asked. */
  askOtherServers(): number {
    const encoder = encoding.createEncoder();
    encoding.writeVarString(encoder, this.#answers);
    encoding.writeVarUint8Array(encoder, Y.encodeStateVector(this.#doc));
    const question = encoding.toUint8Array(encoder);
    return this.#rooms.broadcast(this.#questions, question, { except: this.#hearing }).peers;
  }

  /** A client opens the document. */
  join(socket: ServerWebSocket): void {
    this.#clients.set(socket, new Set());
    this.#rooms.join(socket, this.#name);
    if (this.#waiting === undefined) this.#greet(socket);
  }

  /** A client's message. Throws if nothing can be made of it. */
  receive(socket: ServerWebSocket, message: unknown): void {
    if (!(message instanceof ArrayBuffer)) throw new TypeError("a message must be binary");
    this.#apply(new Uint8Array(message), socket);
  }

  /** A client has gone. Returns how many are left; after the last, the document is closed. */
  leave(socket: ServerWebSocket): number {
    const ids = this.#clients.get(socket) ?? [];
    this.#clients.delete(socket);
    this.#waiting?.delete(socket);
    awareness.removeAwarenessStates(this.#awareness, [...ids], socket);
    if (this.#clients.size === 0) {
      clearTimeout(this.#answerLimit);
      for (const listener of this.#hearing) listener[Symbol.dispose]();
      this.#doc.destroy();
    }
    return this.#clients.size;
  }

  #apply(message: string | Uint8Array, origin: Origin): void {
    if (typeof message === "string") return;
    const decoder = decoding.createDecoder(message);
    const type = decoding.readVarUint(decoder);
    if (type === AWARENESS) {
      const update = decoding.readVarUint8Array(decoder);
      awareness.applyAwarenessUpdate(this.#awareness, update, origin);
    } else if (type === QUERY_AWARENESS && typeof origin !== "string") {
      origin.send(this.#presence());
    } else if (type === SYNC && decoding.readVarUint(decoder) !== sync.messageYjsSyncStep1) {
      Y.applyUpdate(this.#doc, decoding.readVarUint8Array(decoder), origin);
    } else if (type === SYNC && typeof origin !== "string") {
      // Whoever gets an empty document too early may take it for a new one, and fill it again.
      if (this.#waiting !== undefined) this.#waiting.add(origin);
      else origin.send(this.#state(decoding.readVarUint8Array(decoder)));
    }
  }

  /** What a socket has changed goes to everybody; what another server has said, to clients here. */
  #spread(message: Uint8Array, origin: Origin): void {
    if (origin === "broadcast") return; // the clients of this server have heard it as well
    if (origin === "answer") this.#clients.forEach((_ids, socket) => socket.send(message));
    else this.#rooms.broadcast(this.#name, message, { except: [origin, ...this.#hearing] });
  }

  #changed({ added, updated, removed }: AwarenessChange, origin: unknown): void {
    // Every server and every client notices by itself that somebody has been silent for too long.
    if (origin === "timeout" || origin === "local") return;
    const from = origin as Origin;
    if (typeof from !== "string") {
      const ids = this.#clients.get(from);
      for (const id of [...added, ...updated]) ids?.add(id);
      if (ids !== undefined && ids.size > MAX_IDS_PER_SOCKET) from.close(1008, "too many ids");
    }
    this.#spread(this.#presence([...added, ...updated, ...removed]), from);
  }

  /** The server asks the client too: it may have changed something while it was away. */
  #greet(socket: ServerWebSocket): void {
    socket.send(encode(SYNC, (encoder) => sync.writeSyncStep1(encoder, this.#doc)));
    socket.send(this.#presence());
  }

  #answer(question: string | Uint8Array): void {
    if (typeof question === "string") return;
    const decoder = decoding.createDecoder(question);
    const room = decoding.readVarString(decoder);
    this.#rooms.broadcast(room, this.#presence());
    this.#rooms.broadcast(room, this.#state(decoding.readVarUint8Array(decoder)));
  }

  #hearAnswer(message: string | Uint8Array): void {
    this.#apply(message, "answer");
    if (message[0] === SYNC && --this.#expectedAnswers === 0) this.#becomeReady();
  }

  #becomeReady(): void {
    clearTimeout(this.#answerLimit);
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.#clients.forEach((_ids, socket) => this.#greet(socket));
    for (const socket of waiting) socket.send(this.#state());
  }

  /** All of the document that is not in a state vector. */
  #state(vector?: Uint8Array): Uint8Array {
    return encode(SYNC, (encoder) => sync.writeSyncStep2(encoder, this.#doc, vector));
  }

  #presence(ids: number[] = [...this.#awareness.getStates().keys()]): Uint8Array {
    const update = awareness.encodeAwarenessUpdate(this.#awareness, ids);
    return encode(AWARENESS, (encoder) => encoding.writeVarUint8Array(encoder, update));
  }
}

function encode(type: number, write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, type);
  write(encoder);
  return encoding.toUint8Array(encoder);
}
