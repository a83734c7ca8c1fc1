/** Plans a cluster: which nodes to start, and on which ports of this machine. */

/** A node to start. */
export interface NodePlan {
  /** Its name in the mesh: `chat-1@127.0.0.1:9001`. */
  readonly name: string;
  readonly httpPort: number;
  readonly url: string;
}

/** The nodes of one cluster. */
export interface ClusterPlan {
  readonly cookie: string;
  readonly nodes: readonly NodePlan[];
  /** The broker to use instead of the mesh. */
  readonly backplane?: string;
}

/** Below the range from which systems take ports for outgoing connections. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

/** Plans `count` nodes. If `friendly`, they get ports 8001, 9001 and so on where free. */
export function planCluster(count: number, options: { friendly?: boolean } = {}): ClusterPlan {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const ports = freePorts(numbers.flatMap((number) => [8000 + number, 9000 + number]), options);
  const nodes = numbers.map((number, index): NodePlan => ({
    name: `chat-${number}@127.0.0.1:${ports[2 * index + 1]}`,
    httpPort: ports[2 * index],
    url: `http://127.0.0.1:${ports[2 * index]}`,
  }));
  return { cookie: crypto.randomUUID(), nodes };
}

/** A port of this machine that is free now. */
export function freePort(): number {
  return freePorts([0], {})[0];
}

/** A free port for each wished port: the wished one, if it is free and `friendly` is set. */
function freePorts(wished: readonly number[], { friendly = false }): number[] {
  // Holds all of them until the last is found, so that it finds none twice.
  const held: Deno.TcpListener[] = [];
  try {
    return wished.map((wish) => {
      const listener = friendly ? hold(wish) ?? holdAny() : holdAny();
      held.push(listener);
      return listener.addr.port;
    });
  } finally {
    for (const listener of held) listener.close();
  }
}

function holdAny(): Deno.TcpListener {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    const listener = hold(port);
    if (listener) return listener;
  }
  throw new Error(`found no free port from ${FIRST_PORT} to ${LAST_PORT}`);
}

function hold(port: number): Deno.TcpListener | undefined {
  try {
    return Deno.listen({ hostname: "127.0.0.1", port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return undefined;
    throw error;
  }
}
