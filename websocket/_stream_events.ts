/**
 * The events of streams. All streams have the same listeners, which find their connection by a property
 * of the stream: with closures of its own, an idle connection would take some hundred bytes more.
 */

import type { UpgradeStream } from "./upgrade.ts";

/** What a stream reports. */
export interface StreamHandler {
  received(chunk: Uint8Array): void;
  streamDrained(): void;
  streamEnded(): void;
  streamClosed(): void;
}

const HANDLER: unique symbol = Symbol("handler");

type HandledStream = UpgradeStream & { [HANDLER]?: StreamHandler };

/** Tells `handler` when the stream ends and closes. */
export function handleStream(stream: HandledStream, handler: StreamHandler): void {
  stream[HANDLER] = handler;
  stream.on("end", onEnd);
  stream.on("close", onClose);
}

/** Tells the handler what is read as well, and so begins to read. */
export function readStream(stream: UpgradeStream): void {
  stream.on("data", onData);
}

/** Tells the handler when the stream has room again. */
export function watchDrain(stream: UpgradeStream): void {
  stream.on("drain", onDrain);
}

function onData(this: HandledStream, chunk: Uint8Array): void {
  this[HANDLER]?.received(chunk);
}

function onDrain(this: HandledStream): void {
  this[HANDLER]?.streamDrained();
}

function onEnd(this: HandledStream): void {
  this[HANDLER]?.streamEnded();
}

function onClose(this: HandledStream): void {
  this[HANDLER]?.streamClosed();
}
