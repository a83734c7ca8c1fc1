import type { Clock } from "../backplane/clock.ts";
import { MeshError } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import type { TaskGroup } from "./task_group.ts";
import type { Connection, Listener } from "./transport.ts";

/** How long to wait when nothing can be accepted. */
const PAUSE_MS = 100;

/** How long accepting must have worked before a failure is reported again. */
const EPISODE_MS = 10_000;

/** How many failures in a row may pass before timers have their turn. */
const MAX_FAILURES_PER_TURN = 64;

/**
 * Errors of a connection that has ended before it was accepted. The next one can be accepted at
 * once, and it is not reported: a port scan or a health check does no harm.
 */
const ENDED_EARLY: ReadonlySet<unknown> = new Set([
  ...["ENOTCONN", "ECONNABORTED", "ECONNRESET", "EPROTO", "EPIPE", "ETIMEDOUT", "EINTR"],
  ...["ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ENONET", "EPERM"],
]);

/**
 * Accepts connections until the node stops. It pauses when none can be accepted, for lack of
 * descriptors for example, and reports that once for each episode.
 */
export async function acceptAll(listener: Listener, options: {
  readonly clock: Clock;
  readonly tasks: TaskGroup;
  readonly onConnection: (connection: Connection) => void;
  readonly onRefused: (address: string, error: unknown) => void;
}): Promise<void> {
  const { clock, tasks, onConnection, onRefused } = options;
  const address = formatAddress(listener.address);
  let failedAt = -Infinity;
  let endedEarly = 0;
  while (!tasks.stopped) {
    let connection: Connection;
    try {
      connection = await listener.accept();
    } catch (cause) {
      if (tasks.stopped) return;
      if (ENDED_EARLY.has((cause as { code?: unknown } | undefined)?.code)) {
        if (++endedEarly % MAX_FAILURES_PER_TURN === 0) await tasks.delay(0);
        continue;
      }
      const isNew = clock.now() - failedAt > EPISODE_MS;
      failedAt = clock.now();
      await tasks.delay(PAUSE_MS);
      // Only now, so that the caller of `startMesh` has had time to listen to events.
      if (!isNew) continue;
      const message = `cannot accept connections at ${address}`;
      onRefused(address, new MeshError("accept-failed", address, message, { cause }));
      continue;
    }
    if (tasks.stopped) connection.close();
    else onConnection(connection);
  }
}
