import {
  type Backplane,
  decodeRoomBroadcast,
  encodeRoomBroadcast,
  FrameError,
  type PublishReport,
} from "../../mod.ts";
import {
  decodeRoomClose,
  decodeRoomMessage,
  ROOM_BROADCAST,
  ROOM_CLOSE,
  ROOM_MESSAGE,
  type RoomBroadcast,
  type RoomClose,
  type RoomMessage,
} from "../../codec/mod.ts";
import { within } from "../cluster/_chat_cluster.ts";

/** A message that has arrived, decoded. */
export type Heard = RoomBroadcast | RoomMessage | RoomClose;

/**
 * A subscription to a backplane that keeps what arrives, with a way to wait for it. What it
 * publishes itself does not arrive.
 */
export class Inbox implements Disposable {
  readonly heard: Heard[] = [];
  /** The sender of each. */
  readonly from: (string | undefined)[] = [];
  readonly #backplane: Backplane;
  readonly #subscription: Disposable;
  #arrived = Promise.withResolvers<void>();

  constructor(backplane: Backplane) {
    this.#backplane = backplane;
    this.#subscription = backplane.subscribe((bytes, from) => {
      this.heard.push(decode(bytes));
      this.from.push(from);
      this.#arrived.resolve();
    });
  }

  /** The texts among them. */
  get messages(): string[] {
    return this.heard.map(textOf).filter((text) => text !== undefined);
  }

  publish(message: Uint8Array): PublishReport {
    return this.#backplane.publish(message, this.#subscription);
  }

  say(room: string, text: string): PublishReport {
    return this.publish(encodeRoomBroadcast(room, text));
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }

  /** Resolves when so many have arrived. */
  async has(count: number): Promise<void> {
    await this.until(() => this.heard.length >= count, `${count} messages`);
  }

  /** Resolves when a message that `matches` has arrived. */
  async hears(matches: (message: string) => boolean, what = "a message"): Promise<void> {
    let seen = 0;
    const isThere = () => {
      while (seen < this.heard.length) {
        const text = textOf(this.heard[seen++]);
        if (text !== undefined && matches(text)) return true;
      }
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

function textOf(heard: Heard): string | undefined {
  return "message" in heard && typeof heard.message === "string" ? heard.message : undefined;
}

/** @throws {FrameError} as `Rooms` does. */
function decode(bytes: Uint8Array): Heard {
  if (bytes[0] === ROOM_BROADCAST) return decodeRoomBroadcast(bytes);
  if (bytes[0] === ROOM_MESSAGE) return decodeRoomMessage(bytes);
  if (bytes[0] === ROOM_CLOSE) return decodeRoomClose(bytes);
  throw new FrameError("wrong-tag", 0, `a message for rooms has no tag ${bytes[0]}`);
}

/** The next event of a type, or the first that `matches`. */
export async function nextEvent<Found extends Event = Event>(
  target: EventTarget,
  type: string,
  matches: (event: Found) => boolean = () => true,
): Promise<Found> {
  const { promise, resolve } = Promise.withResolvers<Found>();
  const onEvent = (event: Event) => {
    if (matches(event as Found)) resolve(event as Found);
  };
  // The cast is for the types of Node.js, which some npm package may bring in.
  const listener = onEvent as Parameters<EventTarget["addEventListener"]>[1];
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

/** What an event says, to be compared. */
export function fieldsOf<Found extends Event>(event: Found): Omit<Found, keyof Event> {
  return Object.fromEntries(Object.entries(event)) as Omit<Found, keyof Event>;
}
