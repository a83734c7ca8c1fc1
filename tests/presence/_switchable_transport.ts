import { type Connection, tcpTransport, type Transport } from "../../mesh/mod.ts";

/** TCP that can be cut: then every connection ends, and no other is made until it is over. */
export interface SwitchableTransport extends Transport {
  isCut: boolean;
}

export function switchableTransport(): SwitchableTransport {
  const connections = new Set<Connection>();
  let isCut = false;
  const admit = (connection: Connection): Connection => {
    connections.add(connection);
    if (isCut) connection.close();
    return connection;
  };
  return {
    get isCut() {
      return isCut;
    },
    set isCut(cut: boolean) {
      isCut = cut;
      if (!cut) return;
      for (const connection of connections) connection.close();
      connections.clear();
    },
    async listen(address) {
      const listener = await tcpTransport.listen(address);
      return {
        address: listener.address,
        accept: async () => admit(await listener.accept()),
        close: () => listener.close(),
      };
    },
    async connect(address, options) {
      if (isCut) throw new Error("no route to host");
      return admit(await tcpTransport.connect(address, options));
    },
  };
}
