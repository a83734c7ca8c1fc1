import type { Clock } from "../backplane/clock.ts";
import { MeshError } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import type { TaskGroup } from "./task_group.ts";
import type { Connection, Listener } from "./transport.ts";

/** How long to wait when nothing can be accepted. */
const PAUSE_MS = 100;

/** How long accepting must have worked before a failure is reported again. */
const EPISODE_MS = 10_000;

/**
 * How long connections of a flood may gather before they are accepted. To wait for each of them alone
 * costs twice as much (Deno 2.9), and the system's queue holds those of 300 ms at 1,500 a second.
 */
const GATHER_MS = 20;

/** How long after the last connection of a flood more of it are expected. */
const FLOOD_MS = 200;

/** How many outcomes of `accept` may follow each other before timers have their turn. */
const MAX_PER_TURN = 64;

/** Within how many microtasks `accept` gives a connection that is there already. */
const MICROTASKS = 16;

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
 *
 * Connections that are turned away, or have ended early, may be a flood. After one of those, all others
 * may gather for a moment, so that a flood costs less. A peer among them waits as long.
 */
export async function acceptAll(listener: Listener, options: {
  readonly clock: Clock;
  readonly tasks: TaskGroup;
  /** Takes a connection on; false: it has been closed at once. */
  readonly onConnection: (connection: Connection) => boolean;
  readonly onRefused: (address: string, error: unknown) => void;
}): Promise<void> {
  const { clock, tasks, onConnection, onRefused } = options;
  const address = formatAddress(listener.address);
  let failedAt = -Infinity;
  let inThisTurn = 0;
  let floodedAt = -Infinity;
  const acceptOne = async () => {
    const accepting = listener.accept();
    if (clock.now() - floodedAt > FLOOD_MS) return await accepting;
    if (await settlesAtOnce(accepting)) {
      if (++inThisTurn % MAX_PER_TURN === 0) await tasks.delay(0);
    } else {
      inThisTurn = 0;
      await tasks.delay(GATHER_MS);
    }
    return await accepting;
  };
  while (!tasks.stopped) {
    let connection: Connection;
    try {
      connection = await acceptOne();
    } catch (cause) {
      if (tasks.stopped) return;
      if (ENDED_EARLY.has((cause as { code?: unknown } | undefined)?.code)) {
        floodedAt = clock.now();
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
    else if (!onConnection(connection)) floodedAt = clock.now();
  }
}

/** True if what `accepting` waits for is there already. From now on, its rejection is handled. */
async function settlesAtOnce(accepting: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  const settled = () => {
    isSettled = true;
  };
  accepting.then(settled, settled);
  for (let i = 0; i < MICROTASKS && !isSettled; i++) await undefined;
  return isSettled;
}
