/**
 * The messages between a browser and its node: JSON, one object per WebSocket message.
 *
 * This file checks every field of a browser's message before the node acts on it.
 */

import type { NodeState } from "./cluster_view.ts";

/** Limits in UTF-16 units, which `maxlength` in the page also counts. */
export const MAX_NAME = 40;
export const MAX_ROOM = 60;
export const MAX_TEXT = 2000;

/**
 * Longest frame that a browser may send, in bytes. No valid frame is longer, even though JSON may write
 * each unit of a text as six characters.
 */
export const MAX_FRAME_BYTES = 16 * 1024;

/** From the browser. */
export type ClientFrame =
  /** Who I am. A browser sends this once, before anything else. */
  | { readonly type: "hello"; readonly name: string }
  /** `back` if I was here before and only my connection broke. */
  | { readonly type: "join"; readonly room: string; readonly back: boolean }
  | { readonly type: "leave"; readonly room: string }
  /** The browser chooses `id`, so that it recognises the message when it comes back. */
  | { readonly type: "say"; readonly room: string; readonly text: string; readonly id: string }
  /** Are you still there? */
  | { readonly type: "ping" };

/** To the browser. `said` and `note` also travel between nodes, unchanged. */
export type ServerFrame =
  | {
    readonly type: "cluster";
    /** The node that this browser is connected to. */
    readonly node: string;
    readonly nodes: readonly NodeState[];
    /** Where the page can connect if this node goes away. */
    readonly pages: readonly string[];
  }
  | {
    readonly type: "said";
    readonly room: string;
    readonly id: string;
    readonly name: string;
    readonly text: string;
    /** The node that the message came in through. */
    readonly node: string;
    /** Milliseconds since 1970, by that node's clock. */
    readonly at: number;
  }
  | {
    readonly type: "note";
    readonly room: string;
    readonly name: string;
    readonly event: "joined" | "returned" | "left";
    readonly node: string;
    readonly at: number;
  }
  | {
    readonly type: "error";
    readonly code: "bad-frame" | "not-allowed" | "slow-down" | "partly-lost";
    readonly message: string;
    /** The id of the message that the error is about, if there is one. */
    readonly id?: string;
  }
  /** This node is stopping: connect to another before this connection closes. */
  | { readonly type: "stopping" }
  | { readonly type: "pong" };

/** A browser sent an invalid message. The error's `message` may be sent back to it. */
export class BadFrameError extends Error {
  override readonly name = "BadFrameError";
}

/**
 * Reads a message of a browser.
 *
 * @throws {BadFrameError} if it is anything but a well-formed {@linkcode ClientFrame}.
 */
export function readClientFrame(json: string): ClientFrame {
  const { type, name, room, back, text, id } = parseObject(json);
  switch (type) {
    case "hello":
      return { type, name: readLabel("name", name, MAX_NAME) };
    case "join":
      return { type, room: readLabel("room", room, MAX_ROOM), back: back === true };
    case "leave":
      return { type, room: readLabel("room", room, MAX_ROOM) };
    case "say":
      return {
        type,
        room: readLabel("room", room, MAX_ROOM),
        text: readText("text", text, MAX_TEXT),
        id: readId(id),
      };
    case "ping":
      return { type };
    default:
      throw new BadFrameError("type must be hello, join, leave, say or ping");
  }
}

function parseObject(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new BadFrameError("a frame must be JSON");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new BadFrameError("a frame must be an object");
}

function readText(field: string, value: unknown, maxLength: number): string {
  if (typeof value !== "string") throw new BadFrameError(`${field} must be a string`);
  if (value.trim() === "") throw new BadFrameError(`${field} must not be empty`);
  if (value.length > maxLength) {
    throw new BadFrameError(
      `${field} must have at most ${maxLength} characters, got ${value.length}`,
    );
  }
  // JSON can contain half a surrogate pair, but UTF-8 cannot: others would get a different text.
  if (!value.isWellFormed()) throw new BadFrameError(`${field} must be well-formed Unicode`);
  return value;
}

function readLabel(field: string, value: unknown, maxLength: number): string {
  const label = readText(field, value, maxLength);
  if (/\p{Cc}/u.test(label)) throw new BadFrameError(`${field} must have no control characters`);
  return label;
}

function readId(value: unknown): string {
  if (typeof value === "string" && /^[\w-]{8,40}$/.test(value)) return value;
  throw new BadFrameError("id must be 8 to 40 letters, digits, _ or -");
}
