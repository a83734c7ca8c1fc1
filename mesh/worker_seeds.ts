import { BroadcastChannel } from "node:worker_threads";
import { checkFunction, checkObject, checkString, describe } from "../backplane/checks.ts";
import { type Clock, systemClock } from "../backplane/clock.ts";
import type { Seeds, SeedsFunction, SeedsRequest } from "./options.ts";
import { Siblings, type WorkerChannel } from "./siblings.ts";
import type { Address } from "./transport.ts";

/** Options of {@linkcode workerSeeds}. */
export interface WorkerSeedsOptions {
  /**
   * Name of the channel. Nodes of one process that use the same name find each other, so two clusters
   * in one process need two names. Default: `"roomcast"`.
   */
  channel?: string;
  /** Seeds outside this process, in the form of `MeshOptions.seeds`. */
  seeds?: Seeds | SeedsFunction;
  /** Opens a channel. Default: a `BroadcastChannel` that does not keep the process alive. */
  openChannel?: (name: string) => WorkerChannel;
  /** Default: the platform's. */
  clock?: Clock;
}

/** What {@linkcode workerSeeds} returns, for `MeshOptions.seeds`. */
export interface WorkerSeeds {
  (request: SeedsRequest): Promise<Seeds>;
  /** Workers of one process share the port in their name. */
  readonly sharesPort: true;
  /** Where this process can dial the node of another worker without TLS. */
  localAddressOf(name: string): Address | undefined;
}

/**
 * Seeds for servers that run in several workers of one process, as with `deno serve --parallel`.
 * Each worker starts its own node, and the nodes find each other through a `BroadcastChannel`. The
 * channel carries nothing but their names and where to dial them. Broadcasts travel over the links
 * between the nodes, which are several times faster. Within the process, links are plain TCP over
 * the loopback interface, unless the mesh has a `transport` of its own. The option `tls` decides
 * about all other links.
 *
 * All workers give the mesh the same name. The first worker that can listen at the port of that
 * name takes it. The others fall back to free ports, which their names then have. When the worker
 * that holds the port dies or shuts down, another one takes the port over within a second and
 * listens there as well. So other machines need only this address. Give it to them as `host:port`:
 * a full name stands for one worker, and is refused when another answers.
 *
 * Every worker is a node, and each needs a link to every other one: 8 machines with 8 workers are
 * 64 nodes, and all their ports must be reachable. See `docs/deploy.md`.
 *
 * If `seeds` fails, the mesh reports `seeds-failed`. It still finds the siblings.
 *
 * @throws {TypeError} for an option of the wrong shape.
 *
 * @example
 * ```ts ignore
 * import { dnsSeeds, startMesh, workerSeeds } from "@roomcast/roomcast/mesh";
 *
 * const mesh = await startMesh({
 *   name: `chat@${Deno.env.get("POD_IP")}:9000`,
 *   cookie: Deno.env.get("ROOMCAST_COOKIE") ?? "",
 *   seeds: workerSeeds({ seeds: dnsSeeds("rooms.default.svc.cluster.local", 9000) }),
 * });
 * ```
 */
export function workerSeeds(options: WorkerSeedsOptions = {}): WorkerSeeds {
  checkObject("options", options, "channel and seeds");
  const { channel = "roomcast", seeds = [], clock = systemClock } = options;
  const { openChannel = openBroadcastChannel } = options;
  checkString("channel", channel);
  if (typeof seeds !== "function" && !Array.isArray(seeds)) {
    throw new TypeError(`seeds must be a list of addresses or a function, got ${describe(seeds)}`);
  }
  checkFunction("openChannel", openChannel);
  // Several nodes may use one result of this function.
  const nodes = new Map<AbortSignal, NodeSeeds>();
  const ask = async (request: SeedsRequest): Promise<Seeds> => {
    const { name, signal, localAddress } = request;
    if (signal.aborted) return [];
    let node = nodes.get(signal);
    if (node === undefined) {
      const siblings = new Siblings(name, localAddress, openChannel(channel), clock);
      const close = () => {
        siblings.close();
        nodes.delete(signal);
      };
      signal.addEventListener("abort", close, { once: true });
      node = new NodeSeeds(siblings, typeof seeds === "function" ? seeds : () => seeds);
      nodes.set(signal, node);
    }
    return await node.ask(request);
  };
  const localAddressOf = (name: string) =>
    nodes.values().map(({ siblings }) => siblings.addressOf(name)).find((address) => address);
  return Object.assign(ask, { sharesPort: true, localAddressOf } as const);
}

function openBroadcastChannel(name: string): WorkerChannel {
  const channel = new BroadcastChannel(name);
  // The mesh decides whether the process stays alive.
  channel.unref();
  // The cast is for programs that have the types of Node.js beside those of Deno.
  return channel as WorkerChannel;
}

/** The seeds of one node: its siblings, and others. */
class NodeSeeds {
  readonly siblings: Siblings;
  readonly #askOthers: SeedsFunction;
  #others: Seeds = [];
  /** A question whose answer the mesh has not been given yet. */
  #asked: { readonly answer: Promise<Seeds>; isAnswered: boolean } | undefined;

  constructor(siblings: Siblings, askOthers: SeedsFunction) {
    this.siblings = siblings;
    this.#askOthers = askOthers;
  }

  async ask(request: SeedsRequest): Promise<Seeds> {
    const asked = this.#asked ??= this.#askOnce(request);
    const names = await this.siblings.names();
    // News of siblings does not wait for a slow name server, and is not lost when it fails. What
    // the name server says later, or its failure, is then the next answer.
    if (!this.siblings.takeNews() || asked.isAnswered) {
      this.#asked = undefined;
      this.#others = await asked.answer;
    }
    return [...names, ...this.#others];
  }

  #askOnce(request: SeedsRequest): { readonly answer: Promise<Seeds>; isAnswered: boolean } {
    const ask = async () => {
      const seeds = await this.#askOthers(request);
      if (Array.isArray(seeds)) return seeds;
      throw new TypeError(`seeds must give a list of addresses, got ${describe(seeds)}`);
    };
    const asked = { answer: ask(), isAnswered: false };
    // A failure may have to wait until the mesh asks again.
    asked.answer.then(() => asked.isAnswered = true, () => {});
    return asked;
  }
}
