/** A TCP balancer: each connection goes to the next server that takes it. */
export class Balancer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #ports: readonly number[];
  readonly #open = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  #turn = 0;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** Stops listening, and waits until the connections have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#open);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const done: Promise<void> = this.#serve(client).finally(() => this.#open.delete(done));
      this.#open.add(done);
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    const server = await this.#connect();
    if (server === undefined) return client.close();
    await Promise.allSettled([
      client.readable.pipeTo(server.writable),
      server.readable.pipeTo(client.writable),
    ]);
  }

  async #connect(): Promise<Deno.TcpConn | undefined> {
    for (let i = 0; i < this.#ports.length; i++) {
      const port = this.#ports[this.#turn++ % this.#ports.length];
      try {
        return await Deno.connect({ hostname: "127.0.0.1", port });
      } catch {
        // It is restarting.
      }
    }
    return undefined;
  }
}
