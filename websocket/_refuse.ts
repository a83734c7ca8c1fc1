/** Answers refused requests. */

import { Buffer } from "node:buffer";
import { STATUS_CODES } from "node:http";
import type { Refusal } from "./_handshake.ts";
import { sharedEndings } from "./_endings.ts";
import { type Beating, sharedHeartbeat } from "./_heartbeat.ts";
import type { UpgradeStream } from "./upgrade.ts";

/** How long the client may take to read the answer and hang up. */
const TIMEOUT_MS = 4_000;

/** Answers, and closes the stream. */
export function refuse(stream: UpgradeStream, { status, reason, headers }: Refusal): void {
  const body = `${reason}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Connection: close",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
  ];
  stream.on("close", new RefusedStream(stream).forget);
  // If the stream closed with unread bytes, the client might never see the answer.
  stream.resume();
  stream.end(Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`));
}

/** A stream that must have closed by a certain time. */
class RefusedStream implements Beating {
  readonly shortestMs = TIMEOUT_MS;
  slot = 0;
  readonly forget = (): void => sharedHeartbeat.delete(this);
  readonly #stream: UpgradeStream;
  readonly #deadline = sharedHeartbeat.time + TIMEOUT_MS;

  constructor(stream: UpgradeStream) {
    this.#stream = stream;
    sharedHeartbeat.add(this);
  }

  beat(time: number): void {
    if (time < this.#deadline) return;
    this.forget();
    sharedEndings.add(this.#stream);
  }
}
