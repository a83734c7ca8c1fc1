/** What a soak holds a cluster to, with default options, and why. */

/**
 * From SIGKILL to the last `peerdown`. The system closes the connections of a process that ends, and
 * whoever reads from them learns of it at once; the rest is for a machine that is busy.
 */
export const KILL_NOTICED_MS = 2_000;

/**
 * From the goodbye of a node to the last `peerdown`. It is written after what is queued, which on a
 * link that keeps up is nothing.
 */
export const GOODBYE_NOTICED_MS = 2_000;

/**
 * From SIGSTOP to the last `peerdown`. The next ping is due within 10 s and must be answered within
 * 5 s, or 5 s later once if bytes were moving still, into the buffers of the system. 2 s for a busy
 * machine.
 */
export const FREEZE_NOTICED_MS = 22_000;

/**
 * From the return of a node (it listens, or SIGCONT) until messages have been heard on every link to
 * and from it. It dials its seeds at once, or within 250 ms if they were peers, and learns of the
 * others from them: a few round trips. Should one dial come to nothing in the worst way, the handshake
 * takes its 5 s, and the next is due within 500 ms. The rest is for a busy machine.
 */
export const COMPLETE_MS = 10_000;

/** For thousands of clients to come back: each handshake costs a node and the clients about 1 ms. */
export const CLIENTS_BACK_MS = 30_000;

/**
 * From the join of a first member to the arrival of its room's announcement at all other nodes. These
 * are gathered for 5 ms; the rest is for a busy machine.
 */
export const ANNOUNCED_MS = 1_000;

/** For clients that do not read to be closed: each is sent some 5 MiB, most of it kept by the system. */
export const SLOW_CLOSED_MS = 15_000;

/**
 * From the close of clients that do not read until they are gone, and their memory with them. A socket
 * that does not close is terminated after 4 s. The rest is for a busy machine.
 */
export const SLOW_FREED_MS = 10_000;

/**
 * How much more memory a node may have then, after a garbage collection. Each of the 16 clients had
 * made it hold at least 1 MiB: one in four that is not freed shows.
 */
export const KEPT_BYTES = 4 * 1024 * 1024;

/**
 * The same for what the system counts as resident. The allocator keeps up to 50 MiB of what a young
 * process needed for the first time, so this shows a gross leak outside of the heap; smaller ones show
 * in the slope of the witness.
 */
export const KEPT_RESIDENT_BYTES = 96 * 1024 * 1024;

/** For a process to start, or to answer. */
export const PROCESS_MS = 15_000;

/** For the process of a node that has left to end by itself: nothing is left that would keep it. */
export const END_MS = 3_000;

/** For what is on its way to arrive, and descriptors to be closed, when all is quiet. */
export const QUIET_MS = 15_000;

/** How memory may grow in the later half of a run. */
export interface GrowthLimit {
  /** Once, as caches and arenas fill: a share of it falls into the later half of any run. */
  readonly onceKib: number;
  readonly kibPerMinute: number;
}

/**
 * The heap and its buffers, after a garbage collection. 100 bytes kept of each message that a node
 * hears would be 3 MiB a minute, the buffers of each link that has ended as much again.
 */
export const HEAP_GROWTH: GrowthLimit = { onceKib: 4 * 1024, kibPerMinute: 256 };

/**
 * What the system counts as resident: also what the allocator keeps of what was once needed. The first
 * flood of a run may take it up by 50 MiB, whenever it comes, and a step in the midst of the later half
 * makes a slope one and a half times as steep. It shows a gross leak outside of the heap, such as 2 MiB
 * with each of the ten links that end in a minute.
 */
export const RESIDENT_GROWTH: GrowthLimit = { onceKib: 80 * 1024, kibPerMinute: 512 };

/** What a limit comes to as a slope, in KiB a minute, for a run of a length. */
export function slopeLimit({ onceKib, kibPerMinute }: GrowthLimit, minutes: number): number {
  return kibPerMinute + onceKib / (minutes / 2);
}
