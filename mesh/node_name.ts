/** Names and addresses of nodes: `local@host:port`, `host:port`. */

import { isIPv6 } from "node:net";
import { MeshError } from "./mesh_error.ts";
import type { Address } from "./transport.ts";

/** The port of a name or address without one. */
export const DEFAULT_PORT = 9000;

/** Longest name of a node, in bytes of UTF-8; the wire could carry more. */
const MAX_NAME_BYTES = 255;

// No space, no control character, nothing that separates the parts.
const LOCAL = /^[^\s\p{Cc}\p{Surrogate}@]+$/u;
const HOST_AND_PORT =
  /^(?:\[([0-9a-fA-F:.%]+)\]|([^\s\p{Cc}\p{Surrogate}@:[\]/]+))(?::(\d{1,5}))?$/u;

const encoder = new TextEncoder();

/** Hosts that stand for all addresses of a machine, so other machines cannot dial them. */
const WILDCARD = /^(?:(?:::ffff:)?0+(?:\.0+){0,3}|(?=.*:)[0:]+)$/i;

const LOOPBACK = /^(?:localhost|.+\.localhost|(?:::ffff:)?127\.[\d.]+|(?=.*:)[0:]*:0*1)$/i;

/**
 * True for a host such as `0.0.0.0` or `::`, at which a node can listen, but which nobody can dial.
 */
export function isWildcardHost(hostname: string): boolean {
  return WILDCARD.test(hostname);
}

/** True for a host such as `127.0.0.1` or `localhost`, which leads each machine to itself. */
export function isLoopbackHost(hostname: string): boolean {
  return LOOPBACK.test(hostname);
}

/** Somewhere to dial. */
export interface Target extends Address {
  /** Who must answer there; anybody if left out. */
  readonly name?: string;
}

/**
 * Reads `host`, `host:port` or `[v6]:port`, or a full name, which is one of these with `local@`
 * before it. A name must have a host that others can dial, so not one like `0.0.0.0`.
 *
 * @throws {MeshError} `invalid-address`.
 */
export function parseTarget(text: string): Target {
  const at = text.indexOf("@");
  const local = text.slice(0, Math.max(at, 0));
  const match = HOST_AND_PORT.exec(text.slice(at + 1));
  if (match !== null && (at < 0 || LOCAL.test(local))) {
    const address = { hostname: match[1] ?? match[2], port: Number(match[3] ?? DEFAULT_PORT) };
    if (at >= 0 && isWildcardHost(address.hostname)) throw wildcardName(text);
    // The full form is what is sent, so the limit applies to it.
    const full = at < 0 ? formatAddress(address) : formatName(local, address);
    if (address.port <= 0xffff && encoder.encode(full).length <= MAX_NAME_BYTES) {
      return at < 0 ? address : { ...address, name: full };
    }
  }
  throw new MeshError(
    "invalid-address",
    text,
    `${JSON.stringify(text)} is not an address: expected "host:port", "[v6]:port" or one of ` +
      `these after "local@", up to ${MAX_NAME_BYTES} bytes with the port`,
  );
}

/**
 * Reads a full name as it is sent, with nothing left out.
 *
 * @throws {MeshError} `invalid-address`.
 */
export function parseNodeName(text: string): Required<Target> {
  const target = parseTarget(text);
  if (target.name === text) return { ...target, name: text };
  throw new MeshError(
    "invalid-address",
    text,
    `${JSON.stringify(text)} is not the name of a node: expected "local@host:port"`,
  );
}

/**
 * Reads the name of a peer that may be a node of the Mesh runtime: its name may lack the port, and
 * its IPv6 host has no brackets. The name is not changed, because that node and its peers compare
 * it.
 *
 * @throws {MeshError} `invalid-address`.
 */
export function parsePeerName(text: string): Required<Target> {
  const at = text.indexOf("@");
  if (at < 0) return parseNodeName(text);
  const address = unbracketed(text.slice(at + 1));
  const full = address === undefined ? text : formatName(text.slice(0, at), address);
  return { ...parseTarget(full), name: text };
}

/** True if both names belong to one node: they differ at most in how the address is written. */
export function isSameNode(a: string, b: string): boolean {
  return a === b || fullName(a) === fullName(b);
}

/** The address that a name stands for, as {@linkcode formatAddress} writes it. */
export function addressOfName(name: string): string {
  return formatAddress(parsePeerName(name));
}

function fullName(name: string): string {
  const target = parsePeerName(name);
  return formatName(name.slice(0, name.indexOf("@")), target);
}

/** An IPv6 address without brackets, with or without a port. Undefined for anything else. */
function unbracketed(text: string): Address | undefined {
  const colon = text.lastIndexOf(":");
  const [hostname, port] = [text.slice(0, colon), text.slice(colon + 1)];
  if (isIPv6(hostname) && /^\d{1,5}$/.test(port)) return { hostname, port: Number(port) };
  return isIPv6(text) ? { hostname: text, port: DEFAULT_PORT } : undefined;
}

function wildcardName(text: string): MeshError {
  return new MeshError(
    "invalid-address",
    text,
    `${JSON.stringify(text)} is not the name of a node: its host must be one that others can ` +
      `dial. To listen on all addresses, use the option listen`,
  );
}

/** The text of an address, an IPv6 host in brackets. */
export function formatAddress({ hostname, port }: Address): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The full name of a node. */
export function formatName(local: string, address: Address): string {
  return `${local}@${formatAddress(address)}`;
}

/** Orders names by their bytes. (`<` orders by UTF-16 units, which differs.) */
export function isSmallerName(a: string, b: string): boolean {
  const left = encoder.encode(a);
  const right = encoder.encode(b);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i] < right[i];
  }
  return left.length < right.length;
}
