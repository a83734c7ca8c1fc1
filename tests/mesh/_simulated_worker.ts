import {
  type Connection,
  type Listener,
  type Mesh,
  type MeshOptions,
  startMesh,
  type Transport,
  type WorkerChannel,
  workerSeeds,
  type WorkerSeedsOptions,
} from "../../mod.ts";
import type { HostOptions } from "../../testing/mod.ts";
import { COOKIE } from "./_cluster.ts";
import type { FakeChannels } from "./_fake_channels.ts";

/** A worker of a process on a simulated host, with a node in it. It can die alone. */
export class SimulatedWorker {
  readonly #host: HostOptions;
  readonly #channels: FakeChannels;
  readonly #open = new Set<Connection | Listener>();
  #isDead = false;
  /** How often the node has tried to listen. */
  listenCalls = 0;

  constructor(host: HostOptions, channels: FakeChannels) {
    this.#host = host;
    this.#channels = channels;
  }

  /** Starts the node. */
  start(
    name: string,
    { seeds, ...options }: Partial<Omit<MeshOptions, "seeds">> & Pick<WorkerSeedsOptions, "seeds"> =
      {},
  ): Promise<Mesh> {
    const { clock, randomBytes } = this.#host;
    const whileAlive = {
      ...clock,
      setTimeout: (callback: () => void, delayMs: number) =>
        clock.setTimeout(() => this.#isDead || callback(), delayMs),
    };
    return startMesh({
      name,
      cookie: COOKIE,
      clock: whileAlive,
      randomBytes,
      transport: this.#transport(),
      seeds: workerSeeds({ seeds, openChannel: this.#openChannel, clock: whileAlive }),
      ...options,
    });
  }

  /** Ends the worker without a goodbye: the system closes what it had open. */
  die(): void {
    this.#isDead = true;
    for (const resource of this.#open) resource.close();
  }

  readonly #openChannel = (name: string): WorkerChannel => {
    const channel = this.#channels.open(name);
    const postMessage = channel.postMessage;
    channel.postMessage = (message) => this.#isDead || postMessage(message);
    return channel;
  };

  #transport(): Transport {
    const { listen, connect } = this.#host.transport;
    return {
      listen: async (address) => {
        this.listenCalls++;
        const listener = await this.#alive(() => listen(address));
        this.#open.add(listener);
        const accept = async () => this.#keep(await this.#alive(() => listener.accept()));
        return { ...listener, accept };
      },
      connect: async (address, options) =>
        this.#keep(await this.#alive(() => connect(address, options))),
    };
  }

  #keep(connection: Connection): Connection {
    this.#open.add(connection);
    return connection;
  }

  /** No code of a dead worker goes on. */
  async #alive<T>(work: () => Promise<T>): Promise<T> {
    const never = new Promise<T>(() => {});
    if (this.#isDead) return await never;
    try {
      const result = await work();
      return this.#isDead ? await never : result;
    } catch (error) {
      if (this.#isDead) return await never;
      throw error;
    }
  }
}
