/**
 * Links between nodes: servers find each other, prove that they know a shared cookie, and form a
 * full mesh that carries room broadcasts. There is no broker to run, and no certificate to manage.
 *
 * **Forming.** Each node dials its seeds. Over every new link, both sides send the names of their
 * peers, and each dials the nodes that are new to it. So one address is enough. They repeat this
 * every minute. A lost node is redialled with exponential backoff and full jitter (0 to 250 ms at
 * first, 0 to 30 s later) until it says goodbye or has been away for `forgetAfterMs`. Seeds are
 * never given up. Two nodes have one link, whichever of them dialled, and a restarted node replaces
 * its predecessor at once.
 *
 * **Delivery** is at most once. Messages from one node reach another in the order in which they
 * were published; between two senders there is no order. When a link ends, what was queued for it
 * is lost, and a `peerdown` event says so. What does not fit the queue of a slow peer
 * (`maxQueuedBytes`) is dropped, counted in the report and in `peers`, and announced by one
 * `overflow` event. A stalled peer delays nobody else. A peer that is listed in `peers` had its
 * link up when bytes were queued. That does not mean that it has read them.
 *
 * A node that did not get messages dispatches a `missed` event as soon as it can catch up. If the
 * sender had no space for the messages, the event has a count. If a link has ended without a
 * goodbye, there is an event without a count, and another one when a link to that node is up again.
 *
 * **Interest.** With `interest: "room"` a node gets only the messages of rooms that are open on it.
 * It tells its peers as rooms open and close, always before what it publishes next. So it gets
 * every reply to a question that it asks after a join. Other messages may overtake the
 * announcement, for example from a client that learns of the join over HTTP and sends to a third
 * node at once. {@linkcode Mesh.ready} resolves when all peers know.
 *
 * **Security.** Links use TLS 1.2 or later with an ephemeral certificate, which nobody verifies.
 * Both sides prove that they know the cookie, by HMAC-SHA256 over everything that was said before
 * and the certificate of this connection. So nobody in the middle can replay, reflect or relay a
 * proof. With `tls: { … }` you supply certificates, which are verified too. With `tls: false` links
 * are plain TCP, and anybody on the path can read and change messages. A node that knows the cookie
 * is trusted. Anybody whom a node dials can try to guess a weak cookie off-line, so make it random:
 * `openssl rand -base64 32`.
 *
 * **The Mesh runtime.** Messages are those of the Mesh language runtime's room layer. Its nodes are
 * let in with `allowMeshLang: true`. Their proof covers nothing but a challenge, so it does not
 * keep out somebody in the middle. They have no incarnation, so a second link to one of them is
 * refused if the older link proves to be alive. They are never sent the messages that roomcast
 * adds.
 *
 * **Limits.** Everything that somebody without the cookie can make a node hold or do has a limit:
 * the number of pending handshakes, their time, the 4 KiB of each message, and how many begin in a
 * second. A flood of connections does not keep out nodes that this one knows. There are also limits
 * on the number of peers, the length of a message, the bytes that wait for a peer, and the names
 * that peers pass on.
 *
 * **Clusters that do not form** report the reason in `refused` events: see
 * {@linkcode MeshErrorCode}. Only two cases are not reported: a link that exists already, and a
 * seed that turns out to be this node itself.
 *
 * @example
 * ```ts
 * import { startMesh } from "@roomcast/roomcast/mesh";
 *
 * const cookie = "a secret of at least 16 bytes";
 * await using a = await startMesh({ name: "a@127.0.0.1:0", cookie });
 * await using b = await startMesh({ name: "b@127.0.0.1:0", cookie, seeds: [a.name] });
 * await new Promise((resolve) => b.addEventListener("peerup", resolve, { once: true }));
 * console.assert(b.peers[0].name === a.name);
 * ```
 *
 * @module
 */

export type {
  Backplane,
  Clock,
  FrameErrorCode,
  MalformedEvent,
  MissedEvent,
  NodeDownEvent,
  OverflowEvent,
  PublishReport,
  RandomBytes,
  RefusedEvent,
  Timers,
  TypedEventTarget,
} from "../backplane/mod.ts";
export { dnsSeeds, type DnsSeedsOptions, type ResolveDns } from "./dns_seeds.ts";
export {
  type MeshEventMap,
  PeerDownEvent,
  type PeerDownReason,
  type PeerInfo,
  PeerUpEvent,
  UnsupportedEvent,
} from "./events.ts";
export { MeshError, type MeshErrorCode } from "./mesh_error.ts";
export { type Mesh, startMesh } from "./mesh.ts";
export type { MeshOptions, Seeds, SeedsFunction, SeedsRequest } from "./options.ts";
export type { WorkerChannel } from "./siblings.ts";
export type { MeshTotals } from "./totals.ts";
export { tcpTransport } from "./tcp_transport.ts";
export { type TlsOptions, tlsTransport } from "./tls_transport.ts";
export type { Address, Connection, Listener, Transport } from "./transport.ts";
export { type WorkerSeeds, workerSeeds, type WorkerSeedsOptions } from "./worker_seeds.ts";
