import { readRoomNames, skipRoomNames } from "./_room_name.ts";
import { checkUtf8, readText } from "./_text.ts";
import { notForRooms, targetRooms } from "./check_broadcast.ts";
import { checkRoomBroadcast } from "./room_broadcast.ts";
import { checkRoomMessage } from "./room_message.ts";
import type { RoomNames } from "./room_names.ts";
import { ROOM_BROADCAST, ROOM_MESSAGE } from "./tags.ts";

const FLAGS_START = 1;
const ROOMS_START = 2;
const MESSAGE_LENGTH_SIZE = 4;

/** Up to this many bytes, our own check beats the platform's calls (`bench/codec_bench.ts`). */
const SHORT = 64;

const NO_ROOMS: readonly string[] = [];

/**
 * A ROOM_BROADCAST or ROOM_MESSAGE that is read step by step. Each part is decoded only when it is
 * asked for. A node without members in the rooms never looks at the message. A node that passes a
 * text on checks its bytes without making a string of them.
 *
 * It is a view: `bytes` must not change while it is in use.
 *
 * @example
 * ```ts
 * import { BroadcastView, encodeRoomMessage, RoomNames } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 * import { isUtf8 } from "node:buffer";
 *
 * const names = new RoomNames(); // one for all messages
 * const bytes = encodeRoomMessage({ rooms: ["a", "b"], except: ["c"], message: "hello" });
 *
 * const broadcast = new BroadcastView(bytes);
 * assertEquals(broadcast.rooms(names), ["a", "b"]);
 * assertEquals(broadcast.except(names), ["c"]);
 * broadcast.checkText(isUtf8);
 * assertEquals(broadcast.isText, true);
 * assertEquals(broadcast.messageBytes(), new TextEncoder().encode("hello")); // for a frame
 * assertEquals(broadcast.message(), "hello"); // only if a string is needed
 * ```
 */
export class BroadcastView {
  /** The whole encoded message. */
  readonly bytes: Uint8Array;
  /** True if the message is a text, false if it is bytes. */
  readonly isText: boolean;
  /** Where in {@linkcode BroadcastView.bytes} the message begins. It ends where they end. */
  readonly messageStart: number;

  /**
   * Checks everything except the texts, like {@linkcode checkBroadcast}.
   *
   * @throws {FrameError} `truncated`, `wrong-tag` for any other message, `trailing-bytes`,
   * `unknown-flags`, `no-target`.
   */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    if (bytes[0] === ROOM_BROADCAST) {
      this.messageStart = checkRoomBroadcast(bytes) + MESSAGE_LENGTH_SIZE;
      this.isText = true;
    } else if (bytes[0] === ROOM_MESSAGE) {
      this.messageStart = checkRoomMessage(bytes);
      this.isText = bytes[FLAGS_START] === 0;
    } else throw notForRooms(bytes, [ROOM_BROADCAST, ROOM_MESSAGE]);
  }

  /**
   * The rooms whose members receive it, at least one.
   *
   * @param names remembers the names, if given.
   * @throws {FrameError} `invalid-utf8`.
   */
  rooms(names?: RoomNames): string[] {
    return targetRooms(this.bytes, names);
  }

  /**
   * The rooms whose members do not receive it.
   *
   * @param names remembers the names, if given.
   * @throws {FrameError} `invalid-utf8`.
   */
  except(names?: RoomNames): readonly string[] {
    if (this.bytes[0] === ROOM_BROADCAST) return NO_ROOMS;
    const start = skipRoomNames(this.bytes, ROOMS_START, "room message");
    return readRoomNames(this.bytes, start, names);
  }

  /** A view of the message's bytes, which are UTF-8 if it is a text. */
  messageBytes(): Uint8Array {
    return this.bytes.subarray(this.messageStart);
  }

  /**
   * Checks that a text is UTF-8. For a binary message there is nothing to check.
   *
   * @param isUtf8 a fast check of the platform, such as `isUtf8` of `node:buffer`. It must accept
   * valid UTF-8 and nothing else. Without it, a long text is decoded and the string is thrown away.
   * @throws {FrameError} `invalid-utf8`.
   */
  checkText(isUtf8?: (bytes: Uint8Array) => boolean): void {
    if (!this.isText) return;
    const { bytes, messageStart } = this;
    if (bytes.length - messageStart <= SHORT) checkUtf8(bytes, messageStart, bytes.length);
    else if (isUtf8 === undefined) readText(bytes, messageStart, bytes.length);
    // The platform does not say where the fault is.
    else if (!isUtf8(this.messageBytes())) checkUtf8(bytes, messageStart, bytes.length);
  }

  /**
   * The message: a string if it is a text, otherwise a copy of its bytes.
   *
   * @throws {FrameError} `invalid-utf8`.
   */
  message(): string | Uint8Array {
    if (this.isText) return readText(this.bytes, this.messageStart, this.bytes.length);
    return new Uint8Array(this.messageBytes());
  }
}
