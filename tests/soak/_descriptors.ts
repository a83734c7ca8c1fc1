/**
 * How many files and sockets a process has open, and how many it may have. Linux tells; elsewhere both
 * are undefined.
 */

/** How many a process has open. */
export function openDescriptors(pid: number): number | undefined {
  return ifThere(() => Array.from(Deno.readDirSync(`/proc/${pid}/fd`)).length);
}

/** How many a process may have open. Deno raises its own limit as far as it may. */
export function maxDescriptors(): number | undefined {
  const limits = ifThere(() => Deno.readTextFileSync("/proc/self/limits"));
  const [, hard] = /^Max open files +\S+ +(\d+)/m.exec(limits ?? "") ?? [];
  return hard === undefined ? undefined : Number(hard);
}

function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
