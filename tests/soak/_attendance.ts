/** Who is present, by the events of `Presence`, held against its lists. */

import type { Mesh, Presence } from "../../mod.ts";
import { say } from "./_protocol.ts";

/** What is said of a client: the life of its node. */
export interface Whereabouts {
  readonly life: string;
}

/** See the file's head. */
export class Attendance {
  readonly #presence: Presence<Whereabouts>;
  /** By room: ids that have joined and not left. */
  readonly #ids = new Map<string, Set<string>>();

  /** Begins to listen. */
  constructor(presence: Presence<Whereabouts>, mesh: Mesh) {
    this.#presence = presence;
    presence.addEventListener("join", ({ room, id }) => {
      const ids = this.#ids.get(room) ?? new Set();
      if (ids.has(id)) fault(`${id} joins ${room} twice`);
      this.#ids.set(room, ids.add(id));
    });
    presence.addEventListener("leave", ({ room, id }) => {
      if (!this.#ids.get(room)?.delete(id)) fault(`${id} leaves ${room}, and was not there`);
    });
    // After `presence`, which has heard of it by now.
    mesh.addEventListener("nodedown", ({ nodeId }) => {
      const left = this.#metas().filter(({ life }) => life === nodeId).length;
      if (left > 0) fault(`${left} clients of a node that is down (${nodeId}) are present`);
    });
  }

  /** Makes sure that events, counts and lists agree. */
  check(): void {
    for (const [room, ids] of this.#ids) {
      const count = this.#presence.count(room);
      const listed = this.#presence.list(room).map(({ id }) => id);
      if (ids.size === count && count === listed.length && listed.every((id) => ids.has(id))) {
        continue;
      }
      fault(
        `${room} has a count of ${count} and a list of ${listed.length}, ` +
          `and events tell of ${ids.size}`,
      );
    }
  }

  #metas(): Whereabouts[] {
    const metas = this.#ids.keys().flatMap((room) =>
      this.#presence.list(room).flatMap(({ metas }) => metas)
    );
    return metas.filter((meta) => meta !== null).toArray();
  }
}

function fault(text: string): void {
  say({ type: "fault", text });
}
