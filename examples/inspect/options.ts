/** The options of the inspector: its flags, and the cookie from the environment. */

import { parseArgs } from "node:util";

/** What to inspect, and how. */
export interface Options {
  /** The node to dial first: `host:port`, or a full name. */
  readonly target: string;
  /** The secret that all nodes of the cluster share. */
  readonly cookie: string;
  /** The nodes use plain TCP, without TLS. */
  readonly plain: boolean;
  /** Whether to link to nodes of the Mesh runtime too. */
  readonly allowMeshLang: boolean;
  /** How long to look for nodes at most, in milliseconds. */
  readonly waitMs: number;
}

/** The options are wrong. The error's `message` says which ones are valid. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const DEFAULT_WAIT_SECONDS = 5;
const MAX_WAIT_SECONDS = 3600;

const USAGE = `Usage:
  ROOMCAST_COOKIE=<secret> deno task inspect <host:port> [--plain] [--allow-mesh-lang] [--wait ${DEFAULT_WAIT_SECONDS}]

  <host:port>        where one node listens for other nodes; it knows the rest
  --plain            the nodes run with tls: false
  --allow-mesh-lang  link to nodes of the Mesh language runtime too
  --wait             how many seconds to look for nodes at most`;

/**
 * Reads the flags.
 *
 * @throws {UsageError} if something is missing or malformed.
 */
export function parseOptions(args: readonly string[], cookie: string | undefined): Options {
  const { values, positionals } = parse(args);
  if (positionals.length !== 1) {
    throw new UsageError(`expected one address, got ${positionals.length}\n\n${USAGE}`);
  }
  if (!cookie) throw new UsageError(`ROOMCAST_COOKIE is not set\n\n${USAGE}`);
  const wait = Number(values.wait ?? DEFAULT_WAIT_SECONDS);
  if (!(wait > 0 && wait <= MAX_WAIT_SECONDS)) {
    throw new UsageError(`--wait must be seconds up to ${MAX_WAIT_SECONDS}, got ${values.wait}`);
  }
  return {
    target: positionals[0],
    cookie,
    plain: values.plain ?? false,
    allowMeshLang: values["allow-mesh-lang"] ?? false,
    waitMs: wait * 1000,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        plain: { type: "boolean" },
        "allow-mesh-lang": { type: "boolean" },
        wait: { type: "string" },
      },
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${reason}\n\n${USAGE}`, { cause });
  }
}
