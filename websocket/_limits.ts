import { type Compressor, compressorFor } from "./_compressor.ts";
import type { AcceptSettings } from "./options.ts";

/** The limits of a connection. Connections with the same limits share one object. */
export interface Limits {
  readonly maxMessageBytes: number;
  readonly maxBufferedBytes: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  /** Undefined: no compression. */
  readonly compressor: Compressor | undefined;
  readonly thresholdBytes: number;
  /** 0 without compression, else the window: sockets of one kind are sent the same bytes. */
  readonly kind: number;
}

let latest: Limits | undefined;

/** The limits of a socket; `windowBits` if permessage-deflate was agreed on. */
export function limitsOf(settings: AcceptSettings, windowBits: number | undefined): Limits {
  const { maxMessageBytes, maxBufferedBytes, pingIntervalMs, pongTimeoutMs } = settings;
  const limits: Limits = {
    maxMessageBytes,
    maxBufferedBytes,
    pingIntervalMs,
    pongTimeoutMs,
    compressor: windowBits === undefined ? undefined : compressorFor(windowBits),
    thresholdBytes: settings.thresholdBytes ?? 0,
    kind: windowBits ?? 0,
  };
  if (latest === undefined || !isSame(latest, limits)) latest = limits;
  return latest;
}

function isSame(a: Limits, b: Limits): boolean {
  return a.maxMessageBytes === b.maxMessageBytes && a.maxBufferedBytes === b.maxBufferedBytes &&
    a.pingIntervalMs === b.pingIntervalMs && a.pongTimeoutMs === b.pongTimeoutMs &&
    a.compressor === b.compressor && a.thresholdBytes === b.thresholdBytes && a.kind === b.kind;
}
