/**
 * Links between nodes: servers find each other, prove that they know a shared cookie, and form a
 * full mesh that carries room broadcasts. There is no broker to run, and no certificate to manage.
 *
 * **Forming.** Each node dials its seeds. Over every new link both sides send the names of their
 * peers, and each dials those that are new to it; so one address is enough. They do so again every
 * minute. A node that is lost is redialled with exponential backoff and full jitter, at most 0.5 s
 * after the first failure and at most 30 s after many, until it says goodbye or has been away for
 * `forgetAfterMs`. A node never gives up seeds. Two nodes have one link, whichever dialled first. A
 * restarted node replaces its old link at once.
 *
 * **Delivery** is at most once. From one node, messages reach another in the order in which they
 * were published; between two senders there is no order. What was queued for a link that ends is
 * lost, and the `peerdown` event says so; what does not fit the queue of a slow peer
 * (`maxQueuedBytes`) is dropped, counted in the report and in `peers`, and announced by one
 * `overflow` event. A stalled peer delays nobody else. That a peer stands in `peers` means that its
 * link was up when bytes were queued, not that it has read them.
 *
 * A node that did not get messages hears of it by a `missed` event, at the moment when it can catch up:
 * with a count when the sender had no space for them, without one when a link has ended without a
 * goodbye, and again when a link to that node is up.
 *
 * **Interest.** With `interest: "room"` a node gets only the messages of rooms that are open on it. It
 * tells its peers as rooms open and close, always before what it publishes next, so it hears every
 * reply to a question that it asks after a join. What somebody says who knows of the join from
 * elsewhere, such as a client that has heard of it over HTTP and talks to a third node at once, may
 * overtake the announcement. {@linkcode Mesh.ready} tells when all peers know.
 *
 * **Security.** Links are TLS 1.2 or later by an ephemeral certificate, which nobody verifies. Both
 * sides prove that they know the cookie, by HMAC-SHA256 over everything that was said before and the
 * certificate of this connection; so proofs cannot be replayed, reflected, or relayed by somebody in
 * the middle. With `tls: { … }` certificates are yours and are verified too; with `tls: false` links
 * are plain TCP, and whoever sits on the path can read and change messages. A node that knows the
 * cookie is trusted. A weak cookie can be guessed off-line by whoever a node dials, so make it random:
 * `openssl rand -base64 32`.
 *
 * **The Mesh runtime.** Messages are those of the Mesh language runtime's room layer. Its nodes are
 * let in with `allowMeshLang: true`. Their proof covers nothing but a challenge, so somebody in the
 * middle is not kept out then; they have no incarnation, so which of two links to one is kept is found
 * out by having the older prove that it is alive; they are never sent a message of ours.
 *
 * **Limits.** Everything that somebody without the cookie can make a node hold or do is bounded:
 * pending handshakes, their time, the 4 KiB of a message in them, and how many begin in a second. A
 * flood of connections does not keep out nodes that this one knows. For peers there are limits to
 * their number, the length of a message, what waits for them, and the names that are learnt from them.
 *
 * **Clusters that do not form** say why, by `refused` events: see {@linkcode MeshErrorCode}. Only a
 * link that is there already, and a seed that turns out to be this node itself, are not reported.
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
