/**
 * The `Sec-WebSocket-Extensions` header (RFC 6455, section 9.1), and the one extension that the
 * server agrees to: permessage-deflate (RFC 7692), in both directions without memory between
 * messages.
 */

/** An extension that the client offers, with its parameters in order. */
export interface Extension {
  readonly name: string;
  readonly parameters: readonly (readonly [name: string, value: string | undefined])[];
}

/** permessage-deflate as it was agreed on. */
export interface DeflateAgreement {
  /** The server's window as a power of two, 9 to 15. */
  readonly windowBits: number;
  /** What the answer says. */
  readonly response: string;
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";

/** One extension or parameter, with what separates it from the next. */
const PART = new RegExp(
  `[ \\t]*(${TOKEN})(?:[ \\t]*=[ \\t]*(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)"))?[ \\t]*([;,]|$)`,
  "y",
);

/** Extensions and parameters that are looked at; a header with more is refused. */
const MAX_PARTS = 100;

const MAX_WINDOW_BITS = 15;

/** zlib has no smaller window for raw deflate. */
const MIN_WINDOW_BITS = 9;

/** Reads the header; undefined if it is not well-formed. */
export function parseExtensions(header: string): Extension[] | undefined {
  const extensions: Extension[] = [];
  let parameters: [string, string | undefined][] | undefined;
  PART.lastIndex = 0;
  for (let parts = 0; parts < MAX_PARTS; parts++) {
    const part = PART.exec(header);
    if (part === null) return undefined;
    const [, name, token, quoted, separator] = part;
    const value = token ?? quoted?.replace(/\\(.)/g, "$1");
    if (parameters === undefined) {
      if (value !== undefined) return undefined;
      parameters = [];
      extensions.push({ name: name.toLowerCase(), parameters });
    } else {
      parameters.push([name.toLowerCase(), value]);
    }
    if (separator === "") return extensions;
    if (separator === ",") parameters = undefined;
  }
  return undefined;
}

/**
 * Accepts the first offer of permessage-deflate that the server can keep; undefined if there is
 * none.
 */
export function agreeOnDeflate(extensions: readonly Extension[]): DeflateAgreement | undefined {
  for (const { name, parameters } of extensions) {
    if (name !== "permessage-deflate") continue;
    const windowBits = windowBitsFor(parameters);
    if (windowBits === undefined) continue;
    const limit = windowBits === MAX_WINDOW_BITS ? "" : `; server_max_window_bits=${windowBits}`;
    const response =
      `permessage-deflate; server_no_context_takeover; client_no_context_takeover${limit}`;
    return { windowBits, response };
  }
  return undefined;
}

/** The window that an offer asks of the server; undefined if the offer must be declined. */
function windowBitsFor(parameters: Extension["parameters"]): number | undefined {
  const seen = new Set<string>();
  let windowBits = MAX_WINDOW_BITS;
  for (const [name, value] of parameters) {
    if (seen.has(name)) return undefined;
    seen.add(name);
    switch (name) {
      case "server_no_context_takeover":
      case "client_no_context_takeover":
        if (value !== undefined) return undefined;
        break;
      case "client_max_window_bits":
        // Inflating works with any window, so the client need not be told.
        if (value !== undefined && bitsOf(value) === undefined) return undefined;
        break;
      case "server_max_window_bits": {
        const bits = bitsOf(value);
        if (bits === undefined || bits < MIN_WINDOW_BITS) return undefined;
        windowBits = bits;
        break;
      }
      default:
        return undefined;
    }
  }
  return windowBits;
}

/** A number from 8 to 15 without leading zeros (RFC 7692, section 7.1.2). */
function bitsOf(value: string | undefined): number | undefined {
  return value !== undefined && /^(?:[89]|1[0-5])$/.test(value) ? Number(value) : undefined;
}
