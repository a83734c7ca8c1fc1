import { FEATURE_OBSERVER, SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import {
  checkBoolean,
  checkFunction,
  checkMethods,
  checkObject,
  describe,
  MAX_DELAY_MS,
  type NumberRange,
  oneOf,
  wholeNumber,
} from "../backplane/checks.ts";
import { type Clock, type RandomBytes, systemClock, systemRandom } from "../backplane/clock.ts";
import { ALL_FEATURES } from "./handshake.ts";
import type { MeshError } from "./mesh_error.ts";
import { formatName, parseTarget, type Target } from "./node_name.ts";
import { tcpTransport } from "./tcp_transport.ts";
import { type TlsOptions, tlsTransport } from "./tls_transport.ts";
import type { Address, Transport } from "./transport.ts";

const MIN_COOKIE_BYTES = 16;

/** It has no state: the certificate is made when a node begins to listen. */
const defaultTransport = tlsTransport();

/** Addresses of nodes to dial first: `host:port`, or full names `local@host:port`. */
export type Seeds = readonly string[];

/** What a {@linkcode SeedsFunction} is given. */
export interface SeedsRequest {
  /** Full name of the node that asks. */
  readonly name: string;
  /** Aborted when that node shuts down. The function must then free what it holds for the node. */
  readonly signal: AbortSignal;
  /** Where nodes of the same process can dial it without TLS; undefined if they cannot. */
  readonly localAddress?: Address;
}

/** Returns the current seeds. It is called again every 5 s. */
export interface SeedsFunction {
  (request: SeedsRequest): Seeds | Promise<Seeds>;
  /**
   * True: other nodes with the same port in their name run beside this one, such as other workers
   * of this process. If the port is taken, the node listens at a free one, which its name then has.
   * It takes the port over when nobody holds it any more. {@linkcode workerSeeds} sets this.
   */
  readonly sharesPort?: boolean;
  /** The `localAddress` of another node, if that node runs in this process. */
  localAddressOf?(name: string): Address | undefined;
}

/** Options of {@linkcode startMesh}. */
export interface MeshOptions {
  /**
   * Who this node is and where others dial it: `"chat-1@10.0.0.5:9000"`. It has at most 255 bytes,
   * and an IPv6 address in brackets. The port is 9000 if left out. Port 0 stands for the port that
   * is picked when the node begins to listen. A host like `0.0.0.0` is refused, because others
   * cannot dial it. To listen on all addresses, use `listen`. With a loopback host, only nodes on
   * the same machine can dial.
   */
  name: string;
  /**
   * The secret that makes a node a member, 16 bytes or more of UTF-8 (1 or more with
   * `allowMeshLang`). With several, the node proves itself with the first and accepts any, so that
   * the cookie can be changed without stopping the cluster.
   */
  cookie: string | readonly string[];
  /** Where to listen, if not at the name's own host and port. Port 0 picks a free one. */
  listen?: {
    /** Host name or IP address, IPv6 without brackets. */
    hostname?: string;
    /** TCP port. */
    port?: number;
  };
  /**
   * Nodes to dial, `host:port` or full names. One that is up is enough, because the node learns the
   * others from it. A function is called again every 5 s. A host name may stand for several nodes,
   * and addresses of this node itself do no harm. The name of another node at this node's address
   * is refused with `own-address`.
   */
  seeds?: Seeds | SeedsFunction;
  /**
   * What this node asks its peers for. `"cluster"`: every broadcast. `"room"`: only those for rooms
   * that are open here. It announces rooms as they open and close. With more than 100,000 rooms, or
   * 8 MiB of names, it asks for every broadcast. Nodes may differ, because each honours what its
   * peers announce. Default: `"cluster"`.
   */
  interest?: "cluster" | "room";
  /**
   * True: this node observes a cluster and is not a member of it, as tools do. It dials the others,
   * and they are its peers. For them it is not a peer: they do not list, count or report it, do not
   * pass its name on, and do not redial it. It gets what is published to rooms that it opens, and
   * can publish. A node accepts 16 observers. Nodes of older versions, and of the Mesh runtime,
   * treat it like any other node. Default: false.
   */
  observer?: boolean;
  /**
   * Largest message of a session, in bytes with all its lengths. A peer that sends more is
   * disconnected, so it must be the same on all nodes. 512 to 2³²−1, default: 16 MiB.
   */
  maxMessageBytes?: number;
  /**
   * Bytes that may wait for one peer. What does not fit is dropped and counted. A single message
   * always fits an empty queue. Default: 16 MiB.
   */
  maxQueuedBytes?: number;
  /**
   * Links at a time. It also limits how many nodes this one remembers because others have told it
   * about them. Default: 256.
   */
  maxPeers?: number;
  /**
   * Incoming connections that have not proven themselves. One more pushes another out: first one
   * from an unknown address that holds more than a quarter of the places, then one that has sent
   * nothing, then the oldest. Connections from hosts of known nodes come last. Default: 64.
   */
  maxPendingHandshakes?: number;
  /**
   * How many handshakes unknown addresses can begin in a second. Each takes up to 2 ms of processor
   * time. A connection that ends before its handshake begins counts as a twentieth of one. A single
   * address may use a quarter of the rate, and ten seconds' worth may come at once. Further
   * connections are closed immediately, which is reported once a second. With the default, 1,500
   * connections a second cost about a tenth of a core. Hosts of seeds and of known nodes do not
   * count. Each of them may begin as many. Default: 20.
   */
  maxHandshakesPerSecond?: number;
  /** Time for connecting and for the handshake, in milliseconds. Default: 5,000. */
  handshakeTimeoutMs?: number;
  /**
   * Time between pings, in milliseconds. Default: 10,000. After a cut, both ends give a link up
   * within `heartbeatIntervalMs` plus 1.2 times `heartbeatTimeoutMs`: 16 s by default. A node that
   * was itself suspended or busy takes one more timeout.
   */
  heartbeatIntervalMs?: number;
  /**
   * Time for the answer to a ping, in milliseconds. It starts again whenever something arrives from
   * the peer, and whenever bytes are written while the ping waits in the queue, so that a slow link
   * does not count as dead. Use the same on all nodes. Default: 5,000.
   */
  heartbeatTimeoutMs?: number;
  /**
   * How long a lost node is redialled, in milliseconds. A seed is redialled for ever. Default:
   * 600,000.
   */
  forgetAfterMs?: number;
  /**
   * Left out: TLS, with a certificate that the node makes for itself and a handshake that is bound
   * to it, so that there is nothing to set up. `false`: plain TCP, for loopback and private links.
   * An object: TLS with your own certificates, which are verified too. Use the same on all nodes.
   */
  tls?: TlsOptions | false;
  /**
   * True: nodes of the Mesh language runtime may join. Their proof is bound neither to the channel
   * nor to their name. A cookie may then be shorter than 16 bytes, and this node sends no message
   * above 16 MiB, which is their limit. Default: false.
   */
  allowMeshLang?: boolean;
  /** How bytes reach another node. Default: what `tls` says, over TCP. */
  transport?: Transport;
  /** Shuts the node down when it is aborted. */
  signal?: AbortSignal;
  /** Default: the platform's. */
  clock?: Clock;
  /**
   * Default: the platform's. It makes secrets, so only a test may use something predictable here.
   */
  randomBytes?: RandomBytes;
}

/** Checked options, with defaults filled in. */
export interface MeshSettings {
  readonly name: Required<Target>;
  readonly local: string;
  readonly cookies: readonly string[];
  readonly listen: Address;
  readonly interest: "cluster" | "room";
  readonly seeds: readonly Target[] | SeedsFunction;
  readonly sharesPort: boolean;
  readonly maxMessageBytes: number;
  readonly maxQueuedBytes: number;
  readonly maxPeers: number;
  readonly maxPendingHandshakes: number;
  readonly maxHandshakesPerSecond: number;
  readonly handshakeTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly forgetAfterMs: number;
  readonly allowMeshLang: boolean;
  /** The features that this node announces. Not an option: only a test plays an older node. */
  readonly features: number;
  readonly transport: Transport;
  /** For nodes of one process: it has no TLS, because nobody can listen in. */
  readonly localTransport: Transport | undefined;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

/**
 * Checks the options of a mesh and fills in what was left out.
 *
 * @throws {TypeError} for a value of the wrong shape.
 * @throws {RangeError} for a value out of range.
 */
export function resolveOptions(options: MeshOptions): MeshSettings {
  checkObject("options", options, "name and cookie");
  const sharesPort = typeof options.seeds === "function" && options.seeds.sharesPort === true;
  const name = parseName(options.name, sharesPort);
  const allowMeshLang = checkBoolean("allowMeshLang", options.allowMeshLang);
  const observer = checkBoolean("observer", options.observer);
  const number = (option: keyof MeshOptions, fallback: number, range: NumberRange = {}) =>
    wholeNumber(option, options[option], fallback, range);
  const delay = (option: keyof MeshOptions, fallback: number) =>
    number(option, fallback, { max: MAX_DELAY_MS });
  return {
    name,
    local: name.name.slice(0, name.name.indexOf("@")),
    cookies: checkCookies(options.cookie, allowMeshLang ? 1 : MIN_COOKIE_BYTES),
    listen: checkListen(options.listen, name, sharesPort),
    seeds: checkSeeds(options.seeds),
    interest: checkInterest(options.interest, observer),
    sharesPort,
    maxMessageBytes: number("maxMessageBytes", SESSION_MAX_FRAME_BYTES, {
      min: 512,
      max: 0xffff_ffff,
    }),
    maxQueuedBytes: number("maxQueuedBytes", 16 * 1024 * 1024),
    maxPeers: number("maxPeers", 256),
    maxPendingHandshakes: number("maxPendingHandshakes", 64),
    maxHandshakesPerSecond: number("maxHandshakesPerSecond", 20),
    handshakeTimeoutMs: delay("handshakeTimeoutMs", 5_000),
    heartbeatIntervalMs: delay("heartbeatIntervalMs", 10_000),
    heartbeatTimeoutMs: delay("heartbeatTimeoutMs", 5_000),
    forgetAfterMs: number("forgetAfterMs", 600_000),
    allowMeshLang,
    features: observer ? ALL_FEATURES | FEATURE_OBSERVER : ALL_FEATURES,
    transport: checkTransport(options),
    localTransport: sharesPort && !options.transport && options.tls !== false
      ? tcpTransport
      : undefined,
    signal: checkSignal(options.signal),
    clock: checkClock(options.clock),
    randomBytes: checkRandomBytes(options.randomBytes),
  };
}

function checkInterest(interest: MeshOptions["interest"], observer: boolean): "cluster" | "room" {
  const checked = oneOf("interest", interest, ["cluster", "room"]);
  if (!observer) return checked;
  if (interest === "cluster") {
    throw new RangeError('interest must be "room" or left out for an observer, got "cluster"');
  }
  return "room";
}

function parseName(name: unknown, sharesPort: boolean): Required<Target> {
  if (typeof name !== "string") {
    throw new TypeError(`name must be a string like "chat-1@10.0.0.5:9000", got ${describe(name)}`);
  }
  const target = parseAddress("name", name);
  if (target.name === undefined) {
    throw new RangeError(`name must have a part before "@", as in "chat-1@${name}"`);
  }
  if (target.port === 0 || sharesPort) {
    // The picked port has up to five digits, and the name with it must not be too long.
    const local = target.name.slice(0, target.name.indexOf("@"));
    parseAddress("name", formatName(local, { ...target, port: 0xffff }));
  }
  return { ...target, name: target.name };
}

function parseAddress(option: string, text: string): Target {
  try {
    return parseTarget(text);
  } catch (cause) {
    throw new RangeError(`${option}: ${(cause as MeshError).message}`, { cause });
  }
}

function checkCookies(cookie: unknown, minBytes: number): readonly string[] {
  const cookies: readonly unknown[] = Array.isArray(cookie) ? cookie : [cookie];
  if (cookies.length === 0) throw new RangeError("cookie must not be an empty list");
  return cookies.map((cookie) => {
    if (typeof cookie !== "string") {
      throw new TypeError(`cookie must be a string or a list of them, got ${describe(cookie)}`);
    }
    // The cookie itself must not appear in an error, which may be logged.
    const size = new TextEncoder().encode(cookie).length;
    if (!cookie.isWellFormed()) throw new RangeError("cookie must not have a lone surrogate");
    if (size >= minBytes) return cookie;
    throw new RangeError(`cookie must have ${minBytes} bytes or more, got ${size}`);
  });
}

function checkListen(
  listen: MeshOptions["listen"] = {},
  name: Address,
  sharesPort: boolean,
): Address {
  checkObject("listen", listen, "hostname and port");
  const { hostname = name.hostname, port: wanted }: { hostname?: unknown; port?: unknown } = listen;
  if (typeof hostname !== "string") {
    throw new TypeError(`listen.hostname must be a string, got ${describe(hostname)}`);
  }
  const port = wholeNumber("listen.port", wanted, name.port, { min: 0, max: 0xffff });
  if (sharesPort && port === 0 && name.port !== 0) {
    // Every worker could listen at some port, so all of them would have one name.
    throw new RangeError(
      `listen.port must not be 0 for workers that share a name with port ${name.port}: ` +
        "give the name port 0 as well",
    );
  }
  return { hostname, port };
}

function checkSeeds(seeds: MeshOptions["seeds"] = []): MeshSettings["seeds"] {
  if (typeof seeds === "function") return seeds;
  if (!Array.isArray(seeds)) {
    throw new TypeError(`seeds must be a list of addresses or a function, got ${describe(seeds)}`);
  }
  return seeds.map((seed: unknown) => {
    if (typeof seed !== "string") {
      throw new TypeError(`seeds must be strings like "10.0.0.6:9000", got ${describe(seed)}`);
    }
    return parseAddress("seeds", seed);
  });
}

function checkTransport({ transport, tls }: MeshOptions): Transport {
  if (transport === undefined) return tls === undefined ? defaultTransport : transportFor(tls);
  checkMethods("transport", transport, "listen", "connect");
  if (tls) {
    throw new TypeError("tls must be left out for a transport of your own: see tlsTransport");
  }
  return transport;
}

function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  checkMethods("signal", signal, "addEventListener", "removeEventListener");
  return signal;
}

function checkClock(clock: Clock = systemClock): Clock {
  checkMethods("clock", clock, "now", "setTimeout", "clearTimeout");
  return clock;
}

function checkRandomBytes(randomBytes: RandomBytes = systemRandom): RandomBytes {
  checkFunction("randomBytes", randomBytes);
  return randomBytes;
}

function transportFor(tls: TlsOptions | false): Transport {
  if (tls === false) return tcpTransport;
  checkObject("tls", tls, "cert and key, or false");
  const { cert, key, caCerts = [], serverName = "" }: { [Option in keyof TlsOptions]: unknown } =
    tls;
  const texts = { "tls.cert": cert, "tls.key": key, "tls.serverName": serverName };
  for (const [option, value] of Object.entries(texts)) {
    if (typeof value === "string") continue;
    throw new TypeError(`${option} must be a string, got ${describe(value)}`);
  }
  if (!Array.isArray(caCerts) || caCerts.some((text) => typeof text !== "string")) {
    throw new TypeError("tls.caCerts must be a list of certificates in PEM");
  }
  return tlsTransport(tls);
}
