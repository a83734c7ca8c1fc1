/** The options of a chat node: its flags, and the cookie from the environment. */

import { parseArgs } from "node:util";

/** The options of a chat node. */
export interface Options {
  /** The node's name in the mesh, with the address that other nodes dial. */
  readonly name: string;
  /** The secret that all nodes of the cluster share. */
  readonly cookie: string;
  /** Where the page and its WebSocket are served. */
  readonly http: { readonly hostname: string; readonly port: number };
  /** Nodes to dial first. The mesh learns of the others from them. */
  readonly seeds: readonly string[];
  /** The broker to use instead of the mesh: `nats://host:port` or `redis://host:port`. */
  readonly broker: URL | undefined;
  /** The URLs of all nodes' pages. A browser chooses one of them when its own node is gone. */
  readonly pages: readonly string[];
  /** Stop when stdin ends, so that no node outlives the launcher that started it. */
  readonly stopWithStdin: boolean;
}

/** The options are wrong. The error's `message` says which ones are valid. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const USAGE = `Usage:
  ROOMCAST_COOKIE=<secret> deno run --allow-net --allow-env=ROOMCAST_COOKIE \\
    --allow-read=examples/chat examples/chat/server.ts \\
    --name chat-1@127.0.0.1:9001 --http 8001 [--seed 127.0.0.1:9002]... [--page URL]... \\
    [--backplane nats://HOST:PORT | redis://HOST:PORT]`;

/**
 * Reads the flags.
 *
 * @throws {UsageError} if something is missing or malformed.
 */
export function parseOptions(args: readonly string[], cookie: string | undefined): Options {
  const flags = parseFlags(args);
  if (!cookie) {
    throw new UsageError(
      "ROOMCAST_COOKIE is not set. It is the secret that all nodes share: " +
        "at least 16 characters, the same on every node.",
    );
  }
  if (flags.name === undefined) throw new UsageError(`--name is missing.\n\n${USAGE}`);
  if (flags.http === undefined) throw new UsageError(`--http is missing.\n\n${USAGE}`);
  return {
    name: flags.name,
    cookie,
    http: parseHttp(flags.http),
    seeds: flags.seed ?? [],
    broker: flags.backplane === undefined ? undefined : parseBroker(flags.backplane),
    pages: (flags.page ?? []).map(parsePage),
    stopWithStdin: flags["stop-with-stdin"] ?? false,
  };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        name: { type: "string" },
        http: { type: "string" },
        seed: { type: "string", multiple: true },
        page: { type: "string", multiple: true },
        backplane: { type: "string" },
        "stop-with-stdin": { type: "boolean" },
      },
    }).values;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${reason}\n\n${USAGE}`, { cause });
  }
}

/** Parses `8001`, for this machine only, or `0.0.0.0:8001`, for other machines too. */
function parseHttp(text: string): { hostname: string; port: number } {
  const url = URL.parse(`http://${/^\d+$/.test(text) ? `127.0.0.1:${text}` : text}`);
  // A URL drops the default port of its scheme.
  const port = Number(url?.port || (text.endsWith(":80") || text === "80" ? 80 : NaN));
  if (url === null || url.pathname !== "/" || Number.isNaN(port)) {
    throw new UsageError(`--http must be a port or host:port, got "${text}"`);
  }
  return { hostname: url.hostname.replace(/^\[|\]$/g, ""), port };
}

function parsePage(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.origin;
  throw new UsageError(`--page must be the http(s) URL of a node's page, got "${text}"`);
}

function parseBroker(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && ["nats:", "redis:"].includes(url.protocol) && url.host !== "") return url;
  throw new UsageError(`--backplane must be nats://HOST:PORT or redis://HOST:PORT, got "${text}"`);
}
