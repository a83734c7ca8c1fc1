import { describe } from "./_describe.ts";
import type { ServerWebSocket } from "./server_websocket.ts";

/** The longest delay that a platform timer can wait. */
const MAX_DELAY_MS = 2 ** 31 - 1;

const MIB = 1024 * 1024;

/** The largest message that fits into one buffer on every runtime. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;

/** Valid names and values of HTTP headers (RFC 9110, section 5). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Headers of the answer that the application must not set. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-protocol",
  "transfer-encoding",
  "upgrade",
]);

/** Options of {@linkcode acceptWebSocket}. */
export interface AcceptOptions {
  /**
   * Which pages may connect, as a list of origins like `"https://chat.example"`, or a function that
   * decides. A client that is not a browser sends no `Origin`. That counts as `null`, and passes a
   * list. If this is left out, the host of an `Origin` must be the one that the request was sent to
   * (`Host`).
   */
  origins?: readonly string[] | ((origin: string | null) => boolean);
  /**
   * Subprotocols that the server speaks. The server picks the first that the client offers and this
   * list has. If there is none, the socket is accepted without one.
   */
  protocols?: readonly string[];
  /** Headers to add to the answer, such as `Set-Cookie`. */
  headers?: Readonly<Record<string, string>>;
  /**
   * Largest message that the client may send, in bytes after inflating. A larger one closes the
   * socket with 1009 before it has been received. 1 to 2³¹−1, default: 1 MiB.
   */
  maxMessageBytes?: number;
  /**
   * Unsent bytes above which the client is not read, so that a client that never reads cannot make
   * the server answer without end. Default: 1 MiB.
   */
  maxBufferedBytes?: number;
  /**
   * How long a client may be silent before it is sent a ping, in milliseconds; `Infinity`: it is never
   * sent one. Default: 30,000.
   */
  pingIntervalMs?: number;
  /**
   * How long a client may be silent after a ping before it counts as gone and the socket closes with
   * 1006, in milliseconds. Default: 10,000.
   */
  pongTimeoutMs?: number;
  /**
   * True: messages are compressed where the client can do it (permessage-deflate, RFC 7692), without
   * memory between messages, so that a broadcast is compressed once for all. `thresholdBytes`: shorter
   * messages are sent as they are; default: 1,024. Compression takes time of the event loop: some 3 ms
   * for a message of 1 MiB. Default: false.
   */
  compression?: boolean | {
    /** Messages of fewer bytes are not compressed. Default: 1,024. */
    thresholdBytes?: number;
  };
  /**
   * Gets the errors of the socket's handlers and listeners. The socket closes with 1011. Default:
   * one `console.error`.
   */
  onError?: (error: unknown, socket: ServerWebSocket) => void;
}

/** Checked options, with defaults filled in. */
export interface AcceptSettings {
  readonly origins: AcceptOptions["origins"];
  readonly protocols: readonly string[];
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly maxMessageBytes: number;
  readonly maxBufferedBytes: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  /** Undefined: no compression. */
  readonly thresholdBytes: number | undefined;
  readonly onError: ((error: unknown, socket: ServerWebSocket) => void) | undefined;
}

/**
 * Checks the options of a socket and fills in what was left out.
 *
 * @throws {TypeError} for a value of the wrong shape.
 * @throws {RangeError} for a value out of range.
 */
export function resolveOptions(options: AcceptOptions): AcceptSettings {
  requireObject("options", options);
  const number = (
    option: "maxMessageBytes" | "maxBufferedBytes" | "pingIntervalMs" | "pongTimeoutMs",
    fallback: number,
    max: number,
  ) => integer(option, options[option], fallback, 1, max);
  return {
    origins: checkOrigins(options.origins),
    protocols: checkProtocols(options.protocols),
    headers: checkHeaders(options.headers),
    maxMessageBytes: number("maxMessageBytes", MIB, MAX_MESSAGE_BYTES),
    maxBufferedBytes: number("maxBufferedBytes", MIB, Number.MAX_SAFE_INTEGER),
    pingIntervalMs: options.pingIntervalMs === Infinity
      ? Infinity
      : number("pingIntervalMs", 30_000, MAX_DELAY_MS),
    pongTimeoutMs: number("pongTimeoutMs", 10_000, MAX_DELAY_MS),
    thresholdBytes: checkCompression(options.compression),
    onError: checkFunction("onError", options.onError),
  };
}

function checkOrigins(origins: AcceptOptions["origins"]): AcceptOptions["origins"] {
  if (origins === undefined || typeof origins === "function") return origins;
  for (const origin of requireStrings("origins", origins)) {
    const parsed = URL.parse(origin);
    // A scheme that the URL Standard does not know has an opaque origin, which is accepted as it
    // is.
    if (parsed !== null && (parsed.origin === origin || parsed.origin === "null")) continue;
    throw new RangeError(
      `origins must hold origins like "https://chat.example", got ${JSON.stringify(origin)}`,
    );
  }
  return origins;
}

function checkProtocols(protocols: AcceptOptions["protocols"]): readonly string[] {
  if (protocols === undefined) return [];
  for (const protocol of requireStrings("protocols", protocols)) {
    if (TOKEN.test(protocol)) continue;
    throw new RangeError(
      `protocols must hold names of letters, digits and !#$%&'*+-.^_\`|~, got ${
        JSON.stringify(protocol)
      }`,
    );
  }
  return protocols;
}

function checkHeaders(headers: AcceptOptions["headers"]): AcceptSettings["headers"] {
  if (headers === undefined) return [];
  requireObject("headers", headers);
  return Object.entries<unknown>(headers).map(([name, value]) => {
    if (!TOKEN.test(name)) {
      throw new RangeError(`headers must have valid names, got ${JSON.stringify(name)}`);
    }
    if (OWN_HEADERS.has(name.toLowerCase())) {
      throw new RangeError(`headers must not have ${name}, which acceptWebSocket sets itself`);
    }
    if (typeof value !== "string") {
      throw new TypeError(`headers.${name} must be a string, got ${describe(value)}`);
    }
    if (FIELD_VALUE.test(value)) return [name, value];
    throw new RangeError(
      `headers.${name} must have no line breaks, control characters or characters above U+00FF`,
    );
  });
}

function checkCompression(compression: AcceptOptions["compression"]): number | undefined {
  if (compression === undefined || compression === false) return undefined;
  if (compression === true) return 1024;
  if (typeof compression !== "object" || compression === null) {
    throw new TypeError(
      `compression must be a boolean or an object with thresholdBytes, got ${
        describe(compression)
      }`,
    );
  }
  const { thresholdBytes } = compression;
  return integer("compression.thresholdBytes", thresholdBytes, 1024, 0, Number.MAX_SAFE_INTEGER);
}

function checkFunction<T>(option: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === "function") return value;
  throw new TypeError(`${option} must be a function, got ${describe(value)}`);
}

function integer(
  option: string,
  value: unknown,
  fallback: number,
  min: number,
  max: number,
): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number") {
    throw new TypeError(`${option} must be a number, got ${describe(value)}`);
  }
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RangeError(`${option} must be a whole number from ${min} to ${max}, got ${value}`);
}

function requireStrings(option: string, value: unknown): readonly string[] {
  if (!Array.isArray(value)) {
    throw new TypeError(`${option} must be a list of strings, got ${describe(value)}`);
  }
  for (const item of value) {
    if (typeof item === "string") continue;
    throw new TypeError(`${option} must hold strings, got ${describe(item)}`);
  }
  return value;
}

function requireObject(option: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw new TypeError(`${option} must be an object, got ${describe(value)}`);
}
