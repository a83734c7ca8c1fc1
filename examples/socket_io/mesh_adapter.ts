import { Buffer } from "node:buffer";
import { ClusterAdapterWithHeartbeat, MessageType } from "socket.io-adapter";
import type { ClusterMessage, ClusterResponse, Offset } from "socket.io-adapter";
import { decode, encode } from "notepack.io";
import { type Mesh, Rooms } from "../../mod.ts";

/** What it needs of Socket.IO's `Namespace`. */
interface Namespace {
  readonly name: string;
}

/**
 * A client may choose a namespace's name, and a room's name has a limit. Namespaces whose names agree
 * so far share a room; each message says which it is for.
 */
const MAX_ROOM_LENGTH = 10_000;

const HEARTBEAT_MS = 5_000;

/**
 * Socket.IO's own timer for heartbeats starts itself again, and Deno 2.9 cannot stop such a timer: a
 * server that is told to end would go on for up to 5 s. This is as late as a timer can be.
 */
const NEVER_MS = 2 ** 31 - 1;

/** Where a message is kept for clients that reconnect. This adapter keeps none. */
const NO_OFFSET: Offset = "";

/**
 * An adapter that lets Socket.IO run on several servers, over the mesh:
 * `new Server(http, { adapter: meshAdapter(mesh) })`. Each Socket.IO server needs a mesh node of its own.
 *
 * The servers of a namespace share one room, and each has another in which it gets answers. Clients of
 * Socket.IO cannot reach either. Leave the option `connectionStateRecovery` off, because nothing is
 * kept.
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
    throw new TypeError("expected bytes from another server, got a text");
  }
  return decode(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
}
