import type { Discovery } from "./discovery.ts";
import type { Interest } from "./interest.ts";
import type { Link } from "./link.ts";
import type { Peers } from "./peers.ts";
import type { TaskGroup } from "./task_group.ts";

/** What decides about readiness. */
export interface ReadinessOptions {
  readonly discovery: Discovery;
  readonly interest: Interest;
  readonly peers: Peers;
  readonly tasks: TaskGroup;
}

/**
 * Resolves when every seed, and every node that the seeds know, has answered or failed once, and
 * each peer has read what this node announces. It takes no longer than a dial and a heartbeat may
 * take, unless the cluster keeps changing. It also resolves when the node stops.
 */
export async function becomeReady(options: ReadinessOptions): Promise<void> {
  const { discovery, interest, peers, tasks } = options;
  const exchanged = new Set<Link>();
  while (!tasks.stopped) {
    await discovery.tried();
    interest.flush();
    const links = [...peers].filter((link) => !exchanged.has(link));
    // A peer list is queued as soon as a link is up, and no pong overtakes it. So it arrives before
    // the answer to this.
    await Promise.all(links.map((link) => link.exchanged()));
    for (const link of links) exchanged.add(link);
    if (discovery.allTried && [...peers].every((link) => exchanged.has(link))) return;
  }
}
