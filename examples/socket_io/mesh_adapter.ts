import { Buffer } from "node:buffer";
import { ClusterAdapterWithHeartbeat, MessageType } from "socket.io-adapter";
import type { ClusterMessage, ClusterResponse, Offset } from "socket.io-adapter";
import { decode, encode } from "notepack.io";
import { type Mesh, Rooms } from "../../mod.ts";

/** The part of Socket.IO's `Namespace` that the adapter needs. */
interface Namespace {
  readonly name: string;
}

/**
 * A client may choose a namespace's name, and the length of a room's name is limited. Namespaces whose
 * names begin with the same characters share a room. Each message says which namespace it is for.
 */
const MAX_ROOM_LENGTH = 10_000;

const HEARTBEAT_MS = 5_000;

/**
 * Socket.IO's own timer for heartbeats restarts itself, and Deno 2.9 cannot stop such a timer. A server
 * would take up to 5 s to end. So the adapter has a timer of its own, and sets Socket.IO's to the
 * longest time that a timer can have.
 */
const NEVER_MS = 2 ** 31 - 1;

/** The place of a message in a history for clients that reconnect. This adapter keeps no history. */
const NO_OFFSET: Offset = "";

/**
 * An adapter that lets Socket.IO run on several servers, over the mesh:
 * `new Server(http, { adapter: meshAdapter(mesh) })`. Each Socket.IO server needs a mesh node of its own.
 *
 * The servers of a namespace share one room. Each server also has a room of its own in which it gets
 * answers. Clients of Socket.IO cannot reach either room. Leave the option `connectionStateRecovery`
 * off, because the adapter keeps no messages.
 */
export function meshAdapter(mesh: Mesh): new (namespace: Namespace) => MeshAdapter {
  return class extends MeshAdapter {
    constructor(namespace: Namespace) {
      super(namespace, mesh);
    }
  };
}

/** See {@linkcode meshAdapter}. */
export class MeshAdapter extends ClusterAdapterWithHeartbeat {
  /** Identifies this server to the others. It changes when the node restarts. */
  protected override readonly uid: string;
  readonly #mesh: Mesh;
  readonly #rooms: Rooms;
  readonly #room: string;
  readonly #hearing: Disposable;
  readonly #heartbeat = setInterval(() => {
    this.publish({ type: MessageType.HEARTBEAT });
  }, HEARTBEAT_MS);

  /** Socket.IO makes one for each namespace. */
  constructor(namespace: Namespace, mesh: Mesh) {
    super(namespace, { heartbeatInterval: NEVER_MS });
    this.uid = mesh.nodeId;
    this.#mesh = mesh;
    this.#rooms = new Rooms({ backplane: mesh });
    this.#room = `socket.io ${namespace.name}`.slice(0, MAX_ROOM_LENGTH);
    this.#hearing = this.#rooms.listen(this.#room, (message) => this.onMessage(read(message)));
    this.#rooms.listen(`${this.#room} ${this.uid}`, (message) => this.onResponse(read(message)));
    // Without these, Socket.IO would notice a new server after 5 s, and a dead one after 10 s.
    mesh.addEventListener("peerup", this.#greet);
    mesh.addEventListener("nodedown", this.#forget);
  }

  /** Socket.IO calls it when the server or the namespace closes. */
  override close(): void {
    super.close();
    clearInterval(this.#heartbeat);
    this.#mesh.removeEventListener("peerup", this.#greet);
    this.#mesh.removeEventListener("nodedown", this.#forget);
    this.#rooms[Symbol.dispose]();
  }

  protected override doPublish(message: ClusterMessage): Promise<Offset> {
    return Promise.try(() => {
      this.#rooms.broadcast(this.#room, encode(message), { except: this.#hearing });
      return NO_OFFSET;
    });
  }

  protected override doPublishResponse(to: string, response: ClusterResponse): Promise<void> {
    return Promise.try(() => {
      this.#rooms.broadcast(`${this.#room} ${to}`, encode(response));
    });
  }

  readonly #greet = () => this.publish({ type: MessageType.INITIAL_HEARTBEAT });

  readonly #forget = ({ nodeId }: { nodeId: string }) => {
    this.onMessage({ type: MessageType.ADAPTER_CLOSE, uid: nodeId, nsp: this.nsp.name });
  };
}

/** Servers send MessagePack, never text. */
function read<Said extends ClusterMessage | ClusterResponse>(message: string | Uint8Array): Said {
  if (typeof message === "string") {
    throw new TypeError("expected bytes from another server, got text");
  }
  return decode(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
}
