import { decode, encode } from "@msgpack/msgpack";
import type { SyncAdapter, SyncMessage } from "crossws/sync";
import type { Rooms } from "../../mod.ts";

/**
 * A sync driver of crossws over the mesh: `crossws({ hooks, sync: meshSync(rooms, "crossws") })`. A
 * message that one server publishes reaches the subscribers on all servers. Bytes stay bytes.
 *
 * All servers use the same room. Choose a name that no client can join.
 */
export function meshSync(rooms: Rooms, room: string): SyncAdapter {
  return () => {
    const listeners: Disposable[] = [];
    return {
      subscribe(deliver: (message: SyncMessage) => void): void {
        listeners.push(rooms.listen(room, (message) => deliver(read(message))));
      },
      publish({ namespace, topic, data }: SyncMessage): void {
        rooms.broadcast(room, encode([namespace, topic, data]), { except: listeners });
      },
      close(): void {
        for (const listener of listeners) listener[Symbol.dispose]();
      },
    };
  };
}

/** Servers send MessagePack, never text. */
function read(message: string | Uint8Array): SyncMessage {
  if (typeof message === "string") {
    throw new TypeError("expected bytes from another server, got text");
  }
  const [namespace, topic, data] = decode(message) as [string, string, string | Uint8Array];
  return { namespace, topic, data };
}
