/**
 * What can be wrong with bytes from the wire, or with a value to encode.
 *
 * | code | meaning |
 * | --- | --- |
 * | `truncated` | fewer bytes than the lengths inside say |
 * | `trailing-bytes` | more bytes than the lengths inside say |
 * | `wrong-tag` | the first byte belongs to another message |
 * | `invalid-utf8` | a text is not well-formed UTF-8 |
 * | `ill-formed-text` | a string holds a lone surrogate, which UTF-8 cannot express |
 * | `room-too-long` | a room name above 65,535 bytes |
 * | `message-too-long` | a message above the limit in force |
 * | `frame-too-long` | a frame, or a list in it, above the limit in force |
 * | `bad-length` | a WebSocket frame's length is not in its shortest form |
 * | `target-too-small` | the buffer to encode into is too small |
 * | `no-target` | a ROOM_MESSAGE without a room |
 * | `unknown-flags` | a ROOM_MESSAGE with a flag that this version does not know |
 * | `unknown-op` | a ROOM_INTEREST or a presence change with an operation that this version does not know |
 * | `bad-close-code` | a close code that a close frame or a ROOM_CLOSE must not carry |
 * | `reason-too-long` | a close reason above 123 bytes, which no close frame has space for |
 * | `bad-part` | a presence snapshot whose part number is not below its number of parts |
 * | `bad-json` | a presence entry whose meta is not JSON |
 * | `wrong-node` | a presence message that names an instance of another node as its sender |
 * | `id-too-long` | a presence id above the limit in force |
 * | `meta-too-long` | a presence meta above the limit in force |
 * | `over-limit` | other nodes announce more than this node is willing to hold |
 */
export type FrameErrorCode =
  | "truncated"
  | "trailing-bytes"
  | "wrong-tag"
  | "invalid-utf8"
  | "ill-formed-text"
  | "room-too-long"
  | "message-too-long"
  | "frame-too-long"
  | "bad-length"
  | "target-too-small"
  | "no-target"
  | "unknown-flags"
  | "unknown-op"
  | "bad-close-code"
  | "reason-too-long"
  | "bad-part"
  | "bad-json"
  | "wrong-node"
  | "id-too-long"
  | "meta-too-long"
  | "over-limit";

/**
 * The one error of the codec: something does not fit the wire format.
 *
 * @example
 * ```ts
 * import { decodeRoomBroadcast, FrameError } from "@roomcast/roomcast/codec";
 *
 * try {
 *   decodeRoomBroadcast(Uint8Array.of(0x1e, 0x05));
 * } catch (error) {
 *   if (!(error instanceof FrameError)) throw error;
 *   console.assert(error.code === "truncated" && error.offset === 2);
 * }
 * ```
 */
export class FrameError extends RangeError {
  /** What is wrong, for programs. */
  readonly code: FrameErrorCode;
  /**
   * Where the error was noticed. When decoding: bytes from the start of the input, or of the stream
   * for `FrameDecoder`. When encoding: bytes from the start of the message, or UTF-16 units from
   * the start of the text for `ill-formed-text`.
   */
  readonly offset: number;

  /** Makes an error from its code, its place and a sentence for people. */
  constructor(code: FrameErrorCode, offset: number, message: string) {
    super(message);
    this.name = "FrameError";
    this.code = code;
    this.offset = offset;
  }
}
