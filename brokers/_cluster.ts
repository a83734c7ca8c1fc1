import { describe } from "../backplane/checks.ts";

const MAX_CLUSTER_LENGTH = 64;

/**
 * Checks the name of a cluster.
 *
 * @throws {TypeError} if it is not a string.
 * @throws {RangeError} if it holds anything but ASCII letters, digits, `-` and `_`, or is too long.
 */
export function checkCluster(cluster: unknown): string {
  if (typeof cluster !== "string") {
    throw new TypeError(`cluster must be a string, got ${describe(cluster)}`);
  }
  if (/^[\w-]+$/.test(cluster) && cluster.length <= MAX_CLUSTER_LENGTH) return cluster;
  throw new RangeError(
    `cluster must be 1 to ${MAX_CLUSTER_LENGTH} ASCII letters, digits, "-" or "_", got ` +
      JSON.stringify(cluster.slice(0, 2 * MAX_CLUSTER_LENGTH)),
  );
}
