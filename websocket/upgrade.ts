/**
 * What `acceptWebSocket` needs from the arguments of an "upgrade" event. Those of `node:http` and
 * `node:https` fit, and so does anything else of the same shape.
 */

/** The request of an upgrade. */
export interface UpgradeRequest {
  /** `"GET"` for a WebSocket. */
  readonly method?: string;
  /** `"1.1"` for a WebSocket. */
  readonly httpVersion: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** The stream of an upgrade: a `Duplex` of `node:stream`, usually a `Socket` of `node:net`. */
export interface UpgradeStream {
  /** True after `destroy`. */
  readonly destroyed: boolean;
  /** Bytes that were written and that the process still holds. */
  readonly writableLength: number;
  /** True if so much is held that a `"drain"` event will follow. */
  readonly writableNeedDrain: boolean;
  /** The client's address, where there is one. */
  readonly remoteAddress?: string;
  /** Writes bytes or Latin text. */
  write(data: Uint8Array | string): boolean;
  /** Writes the last bytes, and ends this side when all have left. */
  end(data?: Uint8Array | string): unknown;
  /** Holds what is written until `uncork`, so that it leaves in one piece. */
  cork(): void;
  /** Ends `cork`. */
  uncork(): void;
  /** Stops reading. */
  pause(): unknown;
  /** Reads again. */
  resume(): unknown;
  /** Ends both sides at once. */
  destroy(): unknown;
  /** Calls `listener` with each part that was read. */
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  /** Calls `listener` with what went wrong. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Calls `listener` when there is room again, nothing more to read, or nothing left. */
  on(event: "drain" | "end" | "close", listener: () => void): unknown;
  /** Makes the kernel send what is written at once, without gathering it. */
  setNoDelay?(noDelay: boolean): unknown;
  /** Sets the time after which an idle stream says so; 0 for never. */
  setTimeout?(timeoutMs: number): unknown;
}
