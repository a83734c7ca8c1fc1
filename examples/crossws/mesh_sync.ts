import { decode, encode } from "@msgpack/msgpack";
import type { SyncAdapter, SyncMessage } from "crossws/sync";
import type { Rooms } from "../../mod.ts";

/**
 * A sync driver of crossws over the mesh, in the place of those for Redis and PostgreSQL:
 * `sync: meshSync(rooms, "my-app")`. In Nitro, it goes where the options of crossws go. What is
 * published on one server reaches the subscribers on all; bytes stay bytes.
 *
 * The servers share one room. Its name must be none that a client can join.
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

/** Servers say bytes only, in MessagePack. */
function read(message: string | Uint8Array): SyncMessage {
  if (typeof message === "string") throw new TypeError("a server has said a text");
  const [namespace, topic, data] = decode(message) as [string, string, string | Uint8Array];
  return { namespace, topic, data };
}
