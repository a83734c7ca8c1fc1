import { type Backplane, decodeRoomBroadcast, type RoomBroadcast } from "../../mod.ts";
import { within } from "../cluster/_chat_cluster.ts";

/** What arrives over a backplane, decoded, with a way to wait for it. */
export class Inbox {
  readonly heard: RoomBroadcast[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(backplane: Backplane) {
    backplane.subscribe((bytes) => {
      this.heard.push(decodeRoomBroadcast(bytes));
      this.#arrived.resolve();
    });
  }

  get messages(): string[] {
    return this.heard.map(({ message }) => message);
  }

  /** Resolves when so many have arrived. */
  async has(count: number): Promise<void> {
    await this.until(() => this.heard.length >= count, `${count} messages`);
  }

  /** Resolves when a message that `matches` has arrived. */
  async hears(matches: (message: string) => boolean, what = "a message"): Promise<void> {
    let seen = 0;
    const isThere = () => {
      while (seen < this.heard.length) if (matches(this.heard[seen++].message)) return true;
      return false;
    };
    await this.until(isThere, what);
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const wait = async () => {
      while (!condition()) {
        await this.#arrived.promise;
        this.#arrived = Promise.withResolvers();
      }
    };
    await within(what, wait());
  }
}

/** The next event of a type, or the first that `matches`. */
export async function nextEvent<Found extends Event = Event>(
  target: EventTarget,
  type: string,
  matches: (event: Found) => boolean = () => true,
): Promise<Found> {
  const { promise, resolve } = Promise.withResolvers<Found>();
  const listener = (event: Event) => {
    if (matches(event as Found)) resolve(event as Found);
  };
  target.addEventListener(type, listener);
  try {
    return await within(`an event ${type}`, promise);
  } finally {
    target.removeEventListener(type, listener);
  }
}

/** Keeps every event of a type. */
export function collect<Found extends Event = Event>(target: EventTarget, type: string): Found[] {
  const events: Found[] = [];
  target.addEventListener(type, (event) => events.push(event as Found));
  return events;
}
