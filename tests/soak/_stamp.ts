/**
 * The head of every message of the soak: who has sent it, which of its messages it is, and what its
 * node had queued for each other node before it. A receiver can tell from it at once whether anything
 * is missing.
 */

/** Whose message it is if no client has said it: the node's own. */
export const NODE_ITSELF = -1;

/** The same, of the last message to each room: every node with members must hear it. */
export const CALLER = -2;

/** What a node had done on its link to another when it sent a message. */
export interface LinkMark {
  /** Place of the link among all of this life, from 0. */
  readonly link: number;
  /** Messages queued on it, and messages that did not fit. */
  readonly queued: number;
  readonly dropped: number;
}

/** See the file's head. */
export interface Stamp {
  /** Index of the node that broadcast it. */
  readonly node: number;
  /** Incarnation of that node: each life numbers its own messages. */
  readonly life: string;
  /** Its place among all broadcasts of this life, from 0. */
  readonly number: number;
  /** The name of its audience (`_audience.ts`). */
  readonly audience: string;
  /** Its place among the broadcasts of this life to its audience, from 0. */
  readonly audienceNumber: number;
  /** The client that has said it, {@linkcode NODE_ITSELF} or {@linkcode CALLER}. */
  readonly client: number;
  /** By the index of the receiving node; undefined where there was no link. */
  readonly marks: readonly (LinkMark | undefined)[];
}

const FIELDS = 8;
const NO_LINK = "-";

/** What bytes are filled with: not a character of UTF-8. */
const FILLER = 0xff;

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** A text with its stamp. */
export function stamped(stamp: Stamp, text: string): string {
  return `${head(stamp, `t${text.length}`)}${text}`;
}

/** A binary message with its stamp, filled up with `size` bytes. */
export function stampedBytes(stamp: Stamp, size: number): Uint8Array {
  const start = encoder.encode(head(stamp, `b${size}`));
  const bytes = new Uint8Array(start.length + size).fill(FILLER, start.length);
  bytes.set(start);
  return bytes;
}

/**
 * The stamp of a message.
 *
 * @throws {Error} if it has none, if what follows it is not as long as it was, or if a text has
 * become binary or the reverse.
 */
export function readStamp(message: string | Uint8Array | ArrayBuffer): Stamp {
  const text = typeof message === "string" ? message : latin1.decode(message);
  const fields = text.split(" ", FIELDS);
  const [node, life, number, audience, audienceNumber, client, marks, size] = fields;
  const bodyAt = fields.reduce((length, field) => length + field.length + 1, 0);
  const form = typeof message === "string" ? "t" : "b";
  if (fields.length < FIELDS || size !== `${form}${text.length - bodyAt}`) {
    throw new Error(`message of ${text.length} characters does not end as it was sent`);
  }
  return {
    node: Number(node),
    life,
    number: Number(number),
    audience,
    audienceNumber: Number(audienceNumber),
    client: Number(client),
    marks: marks.split(",").map(readMark),
  };
}

function head(stamp: Stamp, size: string): string {
  const { node, life, number, audience, audienceNumber, client } = stamp;
  const marks = stamp.marks.map(writeMark).join(",");
  return `${node} ${life} ${number} ${audience} ${audienceNumber} ${client} ${marks} ${size} `;
}

function writeMark(mark: LinkMark | undefined): string {
  return mark === undefined ? NO_LINK : `${mark.link}:${mark.queued}:${mark.dropped}`;
}

function readMark(text: string): LinkMark | undefined {
  if (text === NO_LINK) return undefined;
  const [link, queued, dropped] = text.split(":").map(Number);
  return { link, queued, dropped };
}
