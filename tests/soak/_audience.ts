/** Who a message is for: members of any of some rooms who are in none of some others. */

/** See the file's head. */
export interface Audience {
  readonly rooms: readonly string[];
  readonly except: readonly string[];
}

const AND = "+";
const BUT = "!";

/** The audience as one word, such as `room-1+table-1` or `room-1!table-1`. */
export function audienceName({ rooms, except }: Audience): string {
  return [rooms.join(AND), ...except].join(BUT);
}

/** True for a member of all the rooms in `own`, and of no other. */
export function includes({ rooms, except }: Audience, own: readonly string[]): boolean {
  return own.some((room) => rooms.includes(room)) && !own.some((room) => except.includes(room));
}

/** How many have been said to an audience, as one node knows it. */
export interface AudienceTotal {
  readonly audience: Audience;
  /** Broadcasts of this node. */
  own: number;
  /** Broadcasts of all nodes, and the sum of their numbers (`_hearing.ts`). */
  count: number;
  sum: number;
}

/** What has been said to each audience. */
export class AudienceTotals {
  readonly #byName = new Map<string, AudienceTotal>();
  readonly #byRoom = new Map<string, AudienceTotal[]>();

  /** The total of an audience, which begins with nothing. */
  of(audience: Audience): AudienceTotal {
    const name = audienceName(audience);
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const total = { audience, own: 0, count: 0, sum: 0 };
    this.#byName.set(name, total);
    for (const room of audience.rooms) {
      const totals = this.#byRoom.get(room);
      if (totals === undefined) this.#byRoom.set(room, [total]);
      else totals.push(total);
    }
    return total;
  }

  /** What a member of rooms has heard, if it has been a member from the start. */
  heardBy(own: readonly string[]): { count: number; sum: number } {
    const totals = new Set(own.flatMap((room) => this.#byRoom.get(room) ?? []));
    let count = 0;
    let sum = 0;
    for (const total of totals) {
      if (!includes(total.audience, own)) continue;
      count += total.count;
      sum = (sum + total.sum) >>> 0;
    }
    return { count, sum };
  }
}
