import dns from "node:dns/promises";
import { checkFunction, checkObject, checkString, wholeNumber } from "../backplane/checks.ts";
import { formatAddress } from "./node_name.ts";
import type { Seeds } from "./options.ts";
import { isDeno } from "./platform.ts";

/** Looks up the addresses of a host: IPv4 ones for `"A"`, IPv6 ones for `"AAAA"`. */
export type ResolveDns = (hostname: string, recordType: "A" | "AAAA") => Promise<string[]>;

/** Options of {@linkcode dnsSeeds}. */
export interface DnsSeedsOptions {
  /**
   * Looks up addresses. For a host without any, it returns an empty list, or throws an error with
   * the name `NotFound` (as in Deno) or the code `ENOTFOUND` or `ENODATA` (as in Node.js). Default:
   * `Deno.resolveDns`, or `node:dns` elsewhere. Both ask the name servers of the machine.
   */
  resolve?: ResolveDns;
}

/**
 * Seeds from a host name that stands for all nodes, such as a headless service of Kubernetes or an
 * internal name of Fly.io. The A and AAAA records are looked up each time the mesh asks, which is
 * every 5 s. So new nodes are found, and nodes that are gone are forgotten.
 *
 * Finding no addresses is not an error, because the first node of a cluster finds none. Once some
 * were found, they stay in force until others are found. A look-up that fails in another way also
 * leaves the seeds as they were, and the mesh reports `seeds-failed`.
 *
 * @param hostname the name to look up. It must be a full name, because `/etc/hosts` and search
 * domains are not used.
 * @param port the port on which all these nodes listen.
 * @throws {TypeError} if an argument has the wrong type.
 * @throws {RangeError} if `port` is not a whole number from 1 to 65,535.
 *
 * @example
 * ```ts ignore
 * import { dnsSeeds, startMesh } from "@roomcast/roomcast/mesh";
 *
 * const mesh = await startMesh({
 *   name: `chat@${Deno.env.get("POD_IP")}:9000`,
 *   cookie: Deno.env.get("ROOMCAST_COOKIE") ?? "",
 *   seeds: dnsSeeds("rooms.default.svc.cluster.local", 9000),
 * });
 * ```
 */
export function dnsSeeds(
  hostname: string,
  port: number,
  options: DnsSeedsOptions = {},
): () => Promise<Seeds> {
  checkString("hostname", hostname);
  wholeNumber("port", port ?? null, 0, { min: 1, max: 0xffff });
  checkObject("options", options, "resolve");
  const { resolve = isDeno ? Deno.resolveDns : resolveByNode } = options;
  checkFunction("resolve", resolve);
  let last: Seeds = [];
  return async () => {
    const answers = await Promise.allSettled([resolve(hostname, "A"), resolve(hostname, "AAAA")]);
    const addresses = answers.flatMap((answer) =>
      answer.status === "fulfilled" ? answer.value : []
    );
    // Many name servers answer badly for the kind of address that their network does not use.
    if (addresses.length === 0) answers.forEach(throwFailure);
    // Deno (2.9) gives the same error for a failed name server and for a missing name. During an
    // outage of the name server, no node should be given up.
    if (addresses.length === 0) return last;
    last = addresses.map((hostname) => formatAddress({ hostname, port })).sort();
    return last;
  };
}

function throwFailure(answer: PromiseSettledResult<unknown>): void {
  if (answer.status === "fulfilled" || isNotFound(answer.reason)) return;
  throw answer.reason;
}

function isNotFound(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "NotFound" ||
    "code" in error && (error.code === "ENOTFOUND" || error.code === "ENODATA");
}

function resolveByNode(hostname: string, recordType: "A" | "AAAA"): Promise<string[]> {
  // Looked up each time: `dns.setServers` replaces these functions.
  return recordType === "A" ? dns.resolve4(hostname) : dns.resolve6(hostname);
}
