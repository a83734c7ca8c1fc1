/** What the inspector is told when it is started: its flags, and the cookie from outside. */

import { parseArgs } from "node:util";

/** What to inspect, and how. */
export interface Options {
  /** A node to begin with: `host:port`, or a full name. */
  readonly target: string;
  /** The secret that all nodes of the cluster share. */
  readonly cookie: string;
  /** The nodes do without TLS. */
  readonly plain: boolean;
  /** Nodes of the Mesh runtime are spoken to as well. */
  readonly allowMeshLang: boolean;
  /** How long to look for nodes, in milliseconds, at the most. */
  readonly waitMs: number;
}

/** It was started in a way that makes no sense; `message` says what would. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const DEFAULT_WAIT_SECONDS = 5;
const MAX_WAIT_SECONDS = 3600;

const USAGE = `Usage:
  ROOMCAST_COOKIE=<secret> deno task inspect <host:port> [--plain] [--allow-mesh-lang] [--wait ${DEFAULT_WAIT_SECONDS}]

  <host:port>        where one of the nodes listens for others; it tells of the rest
  --plain            the nodes run with tls: false
  --allow-mesh-lang   speak to nodes of the Mesh language runtime, too
  --wait             seconds to look for nodes, at the most`;

/**
 * Reads the flags.
 *
 * @throws {UsageError} if something is missing or malformed.
 */
export function parseOptions(args: readonly string[], cookie: string | undefined): Options {
  const { values, positionals } = parse(args);
  if (positionals.length !== 1) {
    throw new UsageError(`one address is wanted, got ${positionals.length}\n\n${USAGE}`);
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
