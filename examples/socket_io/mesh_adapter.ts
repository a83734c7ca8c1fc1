import { Buffer } from "node:buffer";
import { ClusterAdapterWithHeartbeat, MessageType } from "socket.io-adapter";
import type { ClusterMessage, ClusterResponse, Offset } from "socket.io-adapter";
import { decode, encode } from "notepack.io";
import { type Mesh, Rooms } from "../../mod.ts";

/** What it needs of Socket.IO's `Namespace`. */
interface Namespace {
  readonly name: string;
}

/** A room takes 65,535 bytes. Namespaces that share one are told apart by their messages. */
const MAX_ROOM_LENGTH = 10_000;

/** What Socket.IO keeps of a message for clients that come back: nothing here. */
const NO_OFFSET: Offset = "";

/**
 * Socket.IO's adapter for several servers, over the mesh: `new Server(http, { adapter: meshAdapter(mesh) })`.
 *
 * The servers of a namespace share a room that no client can join, and each has one for answers. One
 * node of the mesh serves one Socket.IO server. Leave `connectionStateRecovery` off.
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
  /** How the servers know each other. A node that is restarted has another. */
  protected override readonly uid: string;
  readonly #mesh: Mesh;
  readonly #rooms: Rooms;
  readonly #room: string;
  readonly #hearing: Disposable;

  /** Socket.IO makes one for each namespace. */
  constructor(namespace: Namespace, mesh: Mesh) {
    super(namespace, {});
    this.uid = mesh.nodeId;
    this.#mesh = mesh;
    this.#rooms = new Rooms({ backplane: mesh });
    this.#room = `socket.io ${namespace.name}`.slice(0, MAX_ROOM_LENGTH);
    this.#hearing = this.#rooms.listen(this.#room, (message) => this.onMessage(read(message)));
    this.#rooms.listen(`${this.#room} ${this.uid}`, (message) => this.onResponse(read(message)));
    // Servers are counted as soon as there is a link, and no longer when it is gone.
    mesh.addEventListener("peerup", this.#greet);
    mesh.addEventListener("nodedown", this.#forget);
  }

  /** Socket.IO calls it when the server or the namespace closes. */
  override close(): void {
    super.close();
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

/** Servers say bytes only, in MessagePack. */
function read<Said extends ClusterMessage | ClusterResponse>(message: string | Uint8Array): Said {
  if (typeof message === "string") throw new TypeError("a server has said a text");
  return decode(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
}
