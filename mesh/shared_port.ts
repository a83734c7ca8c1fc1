/**
 * One port for several nodes of a process. Other machines know only this port.
 *
 * The first node that listens takes it. The others listen at free ports, which their names have,
 * and each has a link to the node that holds the port. When that link ends, the holder has died or
 * shut down. The others then try to take the port. One gets it and listens there as well, and the
 * rest dial it to learn which one it is. So machines that start later find the cluster at the same
 * address.
 *
 * The holder may belong to another process, for example one that is being replaced and will soon
 * exit. If this process cannot link to whatever holds the port, nobody finds this process there.
 * `refused` events say so until that changes.
 */

import type { Connector } from "./connector.ts";
import type { Discovery } from "./discovery.ts";
import type { Link } from "./link.ts";
import { MeshError } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import type { TaskGroup } from "./task_group.ts";
import type { Address, Listener, Transport } from "./transport.ts";

/** How often to try for a port that no node of the cluster holds. */
const RETRY_INTERVAL_MS = 5_000;

/** When to look for the holder first. */
const FIRST_LOOK_MS = 500;

/** A holder that ends each link at once must not keep this node busy. */
const PAUSE_MS = 100;

/** What a shared port works with. */
export interface SharedPortOptions {
  readonly transport: Transport;
  /** Where to listen. */
  readonly listen: Address;
  /** Where others dial it. */
  readonly address: Address;
  readonly connector: Connector;
  readonly discovery: Discovery;
  readonly tasks: TaskGroup;
  /** No node of the cluster can be reached at the address. */
  readonly onRefused: (address: string, error: unknown) => void;
}

/**
 * Listens at an address, or at a free port if the port of that address is taken.
 *
 * @throws any other error of the transport.
 */
export async function listenAtSharedPort(transport: Transport, listen: Address): Promise<Listener> {
  try {
    return await transport.listen(listen);
  } catch (error) {
    if (!isPortTaken(error)) throw error;
    return await transport.listen({ ...listen, port: 0 });
  }
}

/** See the head of the file. */
export class SharedPort {
  readonly #options: SharedPortOptions;
  #listener: Listener | undefined;

  /** Holds nothing yet. */
  constructor(options: SharedPortOptions) {
    this.#options = options;
  }

  /** Releases the port. */
  stop(): void {
    this.#listener?.close();
  }

  /** Waits for the port, takes it, and accepts connections there until the node stops. */
  async follow(): Promise<void> {
    const { tasks, address, connector, discovery } = this.#options;
    // The holder is most likely a sibling, and discovery links to it sooner and without TLS.
    await tasks.delay(FIRST_LOOK_MS);
    while (!tasks.stopped) {
      const listener = await this.#take();
      if (listener !== undefined) {
        discovery.own(address);
        return await connector.acceptAll(listener);
      }
      if (tasks.stopped) return;
      const holder = await this.#findHolder();
      if (holder !== undefined) await holder.ended;
      await tasks.delay(holder === undefined ? RETRY_INTERVAL_MS : PAUSE_MS);
    }
  }

  /** The link to the node that holds the port. */
  async #findHolder(): Promise<Link | undefined> {
    const { connector, address, onRefused } = this.#options;
    try {
      return await connector.dial(address);
    } catch (cause) {
      const text = formatAddress(address);
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `the port of ${text} is taken, but not by this cluster: ${reason}`;
      onRefused(text, new MeshError("listen-failed", text, message, { cause }));
      return undefined;
    }
  }

  async #take(): Promise<Listener | undefined> {
    const { transport, listen, tasks } = this.#options;
    try {
      const listener = await transport.listen(listen);
      this.#listener = listener;
      if (!tasks.stopped) return listener;
      listener.close();
    } catch {
      // Another node was faster. If something else has taken the port, the next look for the holder
      // reports it.
    }
    return undefined;
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}
