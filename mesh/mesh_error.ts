/**
 * Why a link could not be made, or a node could not do what was asked.
 *
 * | code | meaning |
 * | --- | --- |
 * | `invalid-address` | the target is neither `host:port` nor `local@host:port` |
 * | `listen-failed` | the node cannot listen at its address; see `cause` |
 * | `accept-failed` | connections cannot be accepted, perhaps for lack of descriptors; see `cause`. Reported once, until accepting has worked for 10 s |
 * | `unreachable` | nobody answers at the address; see `cause` |
 * | `timeout` | the handshake was not over in `handshakeTimeoutMs` |
 * | `peer-speaks-plain` | the other side does not speak TLS, and this node does |
 * | `peer-speaks-tls` | the other side speaks TLS, and this node has `tls: false` |
 * | `untrusted-certificate` | the other side's certificate is not from our authorities, not for its host, or not its own; see `cause` |
 * | `tls-failed` | the TLS handshake failed; see `cause` |
 * | `closed` | the other side closed the connection before it got our proof |
 * | `not-accepted` | the other side closed the connection after our proof, most likely because it has another cookie |
 * | `wrong-cookie` | the other side's proof was not made with one of our cookies |
 * | `wrong-name` | a node other than the one that was dialled answers |
 * | `own-name` | the other side is this node itself |
 * | `own-address` | the name of another node has the host and port of this node, so it cannot be dialled. Either it is an old name of this node, or a host like `127.0.0.1` in names leads every machine to itself |
 * | `loopback-name` | this node listens for other machines, and its name leads every machine to itself |
 * | `duplicate-name` | two live nodes have the same name |
 * | `mesh-lang-handshake` | the other side is a node of the Mesh runtime, or poses as one; see `allowMeshLang` |
 * | `malformed` | what came is not a handshake; see `cause` |
 * | `already-linked` | a link to this node exists and stays |
 * | `observer` | the dialled node only observes: it dials others, and is not dialled |
 * | `too-many-peers` | there are `maxPeers` links already, or for an observer, links to 16 observers |
 * | `too-many-handshakes` | pushed out by other connections (`maxPendingHandshakes`), or more than `maxHandshakesPerSecond` |
 * | `seeds-failed` | the `seeds` function failed; see `cause` |
 * | `shut-down` | this node has been shut down |
 * | `unexpected` | a failure that has no code of its own, perhaps a bug in roomcast; see `cause` |
 */
export type MeshErrorCode =
  | "invalid-address"
  | "listen-failed"
  | "accept-failed"
  | "unreachable"
  | "timeout"
  | "peer-speaks-plain"
  | "peer-speaks-tls"
  | "untrusted-certificate"
  | "tls-failed"
  | "closed"
  | "not-accepted"
  | "wrong-cookie"
  | "wrong-name"
  | "own-name"
  | "own-address"
  | "loopback-name"
  | "duplicate-name"
  | "mesh-lang-handshake"
  | "malformed"
  | "already-linked"
  | "observer"
  | "too-many-peers"
  | "too-many-handshakes"
  | "seeds-failed"
  | "shut-down"
  | "unexpected";

/**
 * A failure between this node and another.
 *
 * @example
 * ```ts
 * import { MeshError, startMesh } from "@roomcast/roomcast/mesh";
 *
 * await using mesh = await startMesh({ name: "a@127.0.0.1:0", cookie: "0123456789abcdef" });
 * try {
 *   await mesh.connect(mesh.name);
 * } catch (error) {
 *   console.assert(error instanceof MeshError && error.code === "own-name");
 * }
 * ```
 */
export class MeshError extends Error {
  /** What went wrong, for programs. */
  readonly code: MeshErrorCode;
  /** Name or address of the other node. */
  readonly peer: string;

  /** Makes an error from its code, the other node and a sentence for people. */
  constructor(code: MeshErrorCode, peer: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MeshError";
    this.code = code;
    this.peer = peer;
  }
}
