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

/** A tab has one id. A client that sends very many ids would fill the memory. */
const MAX_IDS_PER_SOCKET = 100;

/** Where a change comes from. */
type Origin = ServerWebSocket | "broadcast" | "answer";

type AwarenessChange = Record<"added" | "updated" | "removed", number[]>;

/**
 * A document on this server, and its awareness, which is what clients tell about themselves.
 *
 * Each document has a room. A change is broadcast once, as the bytes of `y-websocket`: it reaches the
 * clients of all servers, and on each server a listener that applies it to the server's copy.
 *
 * A server that opens a document asks the other servers for it. The question goes to a room in which
 * only servers listen. The answers go to a room of the server that asked.
 */
export class SharedDocument {
  readonly #name: string;
  readonly #rooms: Rooms<ServerWebSocket>;
  readonly #doc = new Y.Doc();
  readonly #awareness = new awareness.Awareness(this.#doc);
  /** The sockets, each with the ids whose awareness it has sent. */
  readonly #clients = new Map<ServerWebSocket, Set<number>>();
  readonly #questions: string;
  readonly #answers: string;
  readonly #hearing: Disposable[];
  /** Sockets that have asked for the document. Undefined once the other servers have answered. */
  #waiting: Set<ServerWebSocket> | undefined = new Set();
  #expectedAnswers = 0;
  readonly #answerLimit: ReturnType<typeof setTimeout>;

  /** Opens the document, and asks the other servers for it. */
  constructor(name: string, rooms: Rooms<ServerWebSocket>) {
    this.#name = name;
    this.#rooms = rooms;
    // No client can open a document whose name contains a slash.
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

  /** Asks the other servers for changes that are missing here. Returns how many it asked. */
  askOtherServers(): number {
    const encoder = encoding.createEncoder();
    encoding.writeVarString(encoder, this.#answers);
    encoding.writeVarUint8Array(encoder, Y.encodeStateVector(this.#doc));
    const question = encoding.toUint8Array(encoder);
    return this.#rooms.broadcast(this.#questions, question, { except: this.#hearing }).peers;
  }

  /** Adds a client that opens the document. */
  join(socket: ServerWebSocket): void {
    this.#clients.set(socket, new Set());
    this.#rooms.join(socket, this.#name);
    if (this.#waiting === undefined) this.#greet(socket);
  }

  /** Handles a client's message. Throws if it is malformed. */
  receive(socket: ServerWebSocket, message: unknown): void {
    if (!(message instanceof ArrayBuffer)) throw new TypeError("a message must be binary");
    this.#apply(new Uint8Array(message), socket);
  }

  /** Removes a client that has gone. Returns how many are left. Closes the document after the last. */
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
      // If a client got an empty document too early, it might take it for a new one and fill it again.
      if (this.#waiting !== undefined) this.#waiting.add(origin);
      else origin.send(this.#state(decoding.readVarUint8Array(decoder)));
    }
  }

  /** Passes a change on: from a socket to everybody, from a server's answer to this server's clients. */
  #spread(message: Uint8Array, origin: Origin): void {
    if (origin === "broadcast") return; // it has reached the clients of this server already
    if (origin === "answer") this.#clients.forEach((_ids, socket) => socket.send(message));
    else this.#rooms.broadcast(this.#name, message, { except: [origin, ...this.#hearing] });
  }

  #changed({ added, updated, removed }: AwarenessChange, origin: unknown): void {
    // Every server and every client notices timeouts on its own.
    if (origin === "timeout" || origin === "local") return;
    const from = origin as Origin;
    if (typeof from !== "string") {
      const ids = this.#clients.get(from);
      for (const id of [...added, ...updated]) ids?.add(id);
      if (ids !== undefined && ids.size > MAX_IDS_PER_SOCKET) from.close(1008, "too many ids");
    }
    this.#spread(this.#presence([...added, ...updated, ...removed]), from);
  }

  /** Asks the client for its changes while it was offline, and tells it who is here. */
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
