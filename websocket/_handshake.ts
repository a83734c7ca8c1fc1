/** The opening handshake (RFC 6455, section 4.2): a request is accepted, or refused with a reason. */

import { createHash } from "node:crypto";
import { agreeOnDeflate, type DeflateAgreement, parseExtensions } from "./_extensions.ts";
import type { AcceptSettings } from "./options.ts";
import type { UpgradeRequest } from "./upgrade.ts";

/** An answer that accepts. */
export interface Acceptance {
  readonly protocol: string;
  readonly deflate: DeflateAgreement | undefined;
  /** The answer, in Latin-1. */
  readonly head: string;
}

/** An answer that refuses. */
export class Refusal {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly string[];

  constructor(status: number, reason: string, ...headers: string[]) {
    this.status = status;
    this.reason = reason;
    this.headers = headers;
  }
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Judges a request. It throws what the application's `origins` throws. */
export function shakeHands(
  request: UpgradeRequest,
  settings: AcceptSettings,
): Acceptance | Refusal {
  const { method, httpVersion } = request;
  if (method !== "GET") {
    return new Refusal(405, "a WebSocket is opened by GET", "Allow: GET");
  }
  if (httpVersion !== "1.1") return new Refusal(400, "a WebSocket needs HTTP/1.1");
  const header = (name: string) => headerOf(request, name);
  const host = header("host");
  if (host === undefined) return new Refusal(400, "Host is missing");
  if (!hasToken(header("upgrade"), "websocket")) {
    return new Refusal(400, "Upgrade must be websocket");
  }
  if (!hasToken(header("connection"), "upgrade")) {
    return new Refusal(400, "Connection must be Upgrade");
  }
  if (header("sec-websocket-version") !== "13") {
    return new Refusal(
      426,
      "Sec-WebSocket-Version must be 13",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
    );
  }
  const key = header("sec-websocket-key");
  if (key === undefined || !KEY.test(key)) {
    return new Refusal(400, "Sec-WebSocket-Key must be 16 bytes in base64");
  }
  const offered = parseProtocols(header("sec-websocket-protocol"));
  if (offered === undefined) return new Refusal(400, "Sec-WebSocket-Protocol is not well-formed");
  let deflate: DeflateAgreement | undefined;
  const extensions = header("sec-websocket-extensions");
  if (settings.thresholdBytes !== undefined && extensions !== undefined) {
    const parsed = parseExtensions(extensions);
    if (parsed === undefined) {
      return new Refusal(400, "Sec-WebSocket-Extensions is not well-formed");
    }
    deflate = agreeOnDeflate(parsed);
  }
  if (!isOriginAllowed(header("origin") ?? null, host, settings.origins)) {
    return new Refusal(403, "this Origin may not connect");
  }
  const protocol = offered.find((name) => settings.protocols.includes(name)) ?? "";
  return { protocol, deflate, head: answer(key, protocol, deflate, settings.headers) };
}

function answer(
  key: string,
  protocol: string,
  deflate: DeflateAgreement | undefined,
  headers: AcceptSettings["headers"],
): string {
  let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${acceptFor(key)}\r\n`;
  if (protocol !== "") head += `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  if (deflate !== undefined) head += `Sec-WebSocket-Extensions: ${deflate.response}\r\n`;
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  return `${head}\r\n`;
}

function acceptFor(key: string): string {
  return createHash("sha1").update(key + GUID).digest("base64");
}

function headerOf({ headers }: UpgradeRequest, name: string): string | undefined {
  const value = headers[name];
  return value === undefined || typeof value === "string" ? value : value.join(", ");
}

function hasToken(value: string | undefined, token: string): boolean {
  return value?.split(",").some((part) => part.trim().toLowerCase() === token) ?? false;
}

/** The subprotocols of a request in order; undefined if a name is invalid or occurs twice. */
function parseProtocols(value: string | undefined): string[] | undefined {
  if (value === undefined) return [];
  const names = value.split(",").map((name) => name.trim());
  return names.every((name) => TOKEN.test(name)) && new Set(names).size === names.length
    ? names
    : undefined;
}

function isOriginAllowed(
  origin: string | null,
  host: string,
  origins: AcceptSettings["origins"],
): boolean {
  if (typeof origins === "function") {
    const allowed: unknown = origins(origin);
    if (typeof allowed === "boolean") return allowed;
    // A promise is true in a condition: it would let in everybody.
    throw new TypeError(
      `origins must return a boolean, got ${allowed instanceof Promise ? "a promise" : allowed}`,
    );
  }
  if (origin === null) return true;
  if (origins !== undefined) return origins.includes(origin);
  const from = URL.parse(origin);
  // The scheme of the request is not known here: a proxy may have removed TLS.
  return from !== null && from.host !== "" && from.host === hostFor(host, from.protocol);
}

/** A `Host` as a URL of this scheme has it: in lower case, without the scheme's own port. */
function hostFor(host: string, protocol: string): string | undefined {
  // Anything but a host and a port would be read as some other part of the URL.
  return /[\s/?#@\\]/.test(host) ? undefined : URL.parse(`${protocol}//${host}`)?.host;
}
