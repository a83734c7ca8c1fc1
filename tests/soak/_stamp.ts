/** The head of every message of the soak: who has sent it, and which of its messages it is. */

/** Whose message it is if no client has said it: the node's own. */
export const NODE_ITSELF = -1;

/** See the file's head. */
export interface Stamp {
  /** Index of the node that broadcast it. */
  readonly node: number;
  /** Incarnation of that node: each life numbers its own messages. */
  readonly life: string;
  /** Its place among all broadcasts of this life, from 0. */
  readonly number: number;
  /** Its place among the broadcasts of this life to its room, from 0. */
  readonly roomNumber: number;
  /** The client that has said it, or {@linkcode NODE_ITSELF}. */
  readonly client: number;
}

/** A message with its stamp. */
export function stamped(stamp: Stamp, text: string): string {
  const { node, life, number, roomNumber, client } = stamp;
  return `${node} ${life} ${number} ${roomNumber} ${client} ${text.length} ${text}`;
}

/**
 * The stamp of a message.
 *
 * @throws {Error} if it has none, or if the text behind it is not as long as it was.
 */
export function readStamp(message: string): Stamp {
  const head = message.split(" ", 6);
  const [node, life, number, roomNumber, client, size] = head;
  const textAt = head.reduce((length, part) => length + part.length + 1, 0);
  if (head.length < 6 || message.length - textAt !== Number(size)) {
    throw new Error(`message of ${message.length} characters does not end as it was sent`);
  }
  return {
    node: Number(node),
    life,
    number: Number(number),
    roomNumber: Number(roomNumber),
    client: Number(client),
  };
}
