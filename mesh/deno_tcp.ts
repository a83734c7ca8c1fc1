import type { Connection, Listener, Transport } from "./transport.ts";

/** TCP by `Deno.listen` and `Deno.connect`. */
export const denoTcp: Transport = {
  // Async, so that what `Deno.listen` throws is a rejection.
  // deno-lint-ignore require-await
  async listen({ hostname, port }) {
    return tcpListener(Deno.listen({ hostname, port }));
  },
  async connect({ hostname, port }, { signal }) {
    return tcpConnection(await Deno.connect({ hostname, port, signal }));
  },
};

function tcpListener(listener: Deno.TcpListener): Listener {
  return {
    address: { hostname: listener.addr.hostname, port: listener.addr.port },
    accept: async () => tcpConnection(await listener.accept()),
    close: closeOnce(listener),
    ref: () => listener.ref(),
    unref: () => listener.unref(),
  };
}

function tcpConnection(connection: Deno.TcpConn): Connection {
  try {
    // Messages that gather during a write are written together anyway.
    connection.setNoDelay(true);
  } catch (error) {
    connection.close();
    throw error;
  }
  const { hostname, port } = connection.remoteAddr;
  return {
    remoteAddress: { hostname, port },
    read: (buffer) => connection.read(buffer),
    write: (bytes) => connection.write(bytes),
    closeWrite: () => connection.closeWrite(),
    close: closeOnce(connection),
    ref: () => connection.ref(),
    unref: () => connection.unref(),
  };
}

function closeOnce(resource: { close(): void }): () => void {
  let open = true;
  return () => {
    if (open) resource.close();
    open = false;
  };
}
