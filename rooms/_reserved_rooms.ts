import type { Receive } from "../backplane/mod.ts";
import { encodeRoomMessage, FrameError, roomMessageCapacity } from "../codec/mod.ts";
import type { OnError } from "../backplane/errors.ts";
import type { Outlet } from "./_outlet.ts";
import { isReserved } from "./_room_name.ts";
import type { ReservedRoom } from "./reserved.ts";

/** The reserved rooms that are open on one `Rooms`. */
export class ReservedRooms implements Disposable {
  readonly #rooms = new Map<string, Set<Receive>>();
  readonly #outlet: Outlet;
  readonly #onError: OnError;

  /** `onError` gets what a receiver throws, except a `FrameError` for a message from elsewhere. */
  constructor(outlet: Outlet, onError: OnError) {
    this.#outlet = outlet;
    this.#onError = onError;
  }

  /** Opens a room; see `RoomsSeam.openReserved`. */
  open(room: string, receive: Receive): ReservedRoom {
    if (!isReserved(room)) {
      throw new RangeError(`a reserved room begins with U+0000, got ${JSON.stringify(room)}`);
    }
    // A new function, so that one receiver may open a room twice.
    const receiver: Receive = (message, from) => receive(message, from);
    const target = { rooms: [room], except: [] };
    const overhead = roomMessageCapacity({ ...target, message: new Uint8Array() });
    const outlet = this.#outlet;
    this.#add(room, receiver);
    return {
      get maxMessageBytes() {
        return outlet.maxMessageBytes - overhead;
      },
      publish: (message) => {
        const encoded = encodeRoomMessage({ ...target, message });
        const malformed = this.#deliver(room, message, outlet.backplane?.nodeId, receiver);
        if (malformed !== undefined) this.#onError(malformed);
        return outlet.publish(encoded);
      },
      [Symbol.dispose]: () => this.#delete(room, receiver),
    };
  }

  /**
   * Takes a message from elsewhere, for a room that may not be open here.
   *
   * @throws {FrameError} the error of the first receiver that cannot decode it.
   */
  receive(room: string, message: Uint8Array, from: string | undefined): void {
    const malformed = this.#deliver(room, message, from);
    if (malformed !== undefined) throw malformed;
  }

  /** Closes all rooms. */
  [Symbol.dispose](): void {
    const names = [...this.#rooms.keys()];
    this.#rooms.clear();
    for (const name of names) this.#outlet.closed(name);
  }

  #add(room: string, receiver: Receive): void {
    const receivers = this.#rooms.get(room);
    if (receivers !== undefined) {
      receivers.add(receiver);
      return;
    }
    this.#rooms.set(room, new Set([receiver]));
    this.#outlet.opened(room);
  }

  #delete(room: string, receiver: Receive): void {
    const receivers = this.#rooms.get(room);
    if (!receivers?.delete(receiver) || receivers.size > 0) return;
    this.#rooms.delete(room);
    this.#outlet.closed(room);
  }

  #deliver(
    room: string,
    message: Uint8Array,
    from: string | undefined,
    except?: Receive,
  ): FrameError | undefined {
    let malformed: FrameError | undefined;
    for (const receive of [...this.#rooms.get(room) ?? []]) {
      if (receive === except) continue;
      try {
        receive(message, from);
      } catch (error) {
        if (error instanceof FrameError) malformed ??= error;
        else this.#onError(error);
      }
    }
    return malformed;
  }
}
