/** A worker with rooms, a gateway to a mesh and its siblings. It says what it hears, and what happens. */

import { broadcastChannelBackplane } from "../../backplanes/broadcast_channel.ts";
import { compose } from "../../backplanes/compose.ts";
import { gatewayBackplane } from "../../backplanes/gateway.ts";
import { Rooms } from "../../mod.ts";
import { linkedTo, startNode } from "../mesh/_cluster.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";

/** What a worker is told. */
export type Order =
  | {
    readonly kind: "start";
    readonly cluster: string;
    readonly name: string;
    readonly seed: string;
  }
  | { readonly kind: "say"; readonly message: string }
  | { readonly kind: "shutdown" };

/** What a worker says. */
export type Word =
  | { readonly kind: "gateway"; readonly here: boolean }
  | { readonly kind: "gateway gone"; readonly unconfirmed: number }
  | { readonly kind: "met"; readonly others: number }
  | { readonly kind: "heard"; readonly message: string }
  | {
    readonly kind: "said";
    readonly message: string;
    readonly peers: number;
    readonly dropped: number;
  }
  | { readonly kind: "ended" };

const scope = self as unknown as {
  onmessage: (event: MessageEvent<Order>) => void;
  postMessage(word: Word): void;
};

function start({ cluster, name, seed }: Order & { kind: "start" }) {
  const workers = broadcastChannelBackplane({ cluster });
  const gateway = gatewayBackplane({
    cluster,
    async connect() {
      const mesh = await startNode("x", { name, seeds: [seed] });
      await linkedTo(mesh, [seed]);
      return mesh;
    },
  });
  gateway.addEventListener("gatewayup", ({ here }) => scope.postMessage({ kind: "gateway", here }));
  gateway.addEventListener("gatewaydown", ({ unconfirmed }) => {
    scope.postMessage({ kind: "gateway gone", unconfirmed });
  });
  workers.addEventListener("peerup", () => {
    scope.postMessage({ kind: "met", others: workers.peers.length });
  });
  const rooms = new Rooms<FakeSocket>({ backplane: compose(workers, gateway) });
  const socket = new FakeSocket();
  socket.onSend = (message) => scope.postMessage({ kind: "heard", message });
  rooms.join(socket, "lobby");
  return {
    say(message: string): void {
      const { peers, dropped } = rooms.broadcast("lobby", message, { except: socket });
      scope.postMessage({ kind: "said", message, peers, dropped });
    },
    async shutdown(): Promise<void> {
      await gateway.shutdown();
      await workers.shutdown();
      scope.postMessage({ kind: "ended" });
    },
  };
}

let worker: ReturnType<typeof start> | undefined;

scope.onmessage = ({ data: order }) => {
  if (order.kind === "start") worker = start(order);
  if (order.kind === "say") worker?.say(order.message);
  if (order.kind === "shutdown") worker?.shutdown();
};
