/** What Linux knows about a process: /proc, see proc(5). */

/** USER_HZ, on every platform that Deno runs on. */
const TICKS_PER_SECOND = 100;
/** Of `stat`, counted after the name of the program, which may contain anything. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;
/** Of the first line of `/proc/stat`: user to steal, of which idle and iowait are no work. */
const STAT_TIMES = 8;
const IDLE_TIMES = [3, 4];
const KIB = 1024;
/** Written to `clear_refs`: the peak of resident memory begins anew. */
const RESET_PEAK = "5";

/** Processor time so far, of all threads. 0 for a process that has ended. */
export function cpuSecondsOf(pid: number): number {
  const stat = read(pid, "stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[USER_TIME] ?? 0) + Number(fields[SYSTEM_TIME] ?? 0);
  return ticks / TICKS_PER_SECOND;
}

/** Processor time so far of the whole machine, with what a hypervisor has given to others. */
export function busySeconds(): number {
  const [line] = Deno.readTextFileSync("/proc/stat").split("\n");
  const ticks = line.split(/\s+/).slice(1, 1 + STAT_TIMES).map(Number);
  return ticks.reduce((sum, n, i) => IDLE_TIMES.includes(i) ? sum : sum + n, 0) / TICKS_PER_SECOND;
}

/** Memory that is resident now. */
export function residentBytesOf(pid: number): number {
  return statusBytes(pid, "VmRSS");
}

/** The most that was resident since the start, or since {@linkcode resetPeakOf}. */
export function peakBytesOf(pid: number): number {
  return statusBytes(pid, "VmHWM");
}

/** Begins a new peak. */
export function resetPeakOf(pid: number): void {
  try {
    Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, RESET_PEAK);
  } catch {
    // It has ended, or the kernel does not have it: then the peak is that of the whole life.
  }
}

/** The processes that a process has started and that are still there. */
export function childrenOf(pid: number): number[] {
  return read(pid, `task/${pid}/children`).split(" ").filter((text) => text.trim()).map(Number);
}

/** What its program is called. */
export function programOf(pid: number): string {
  return read(pid, "comm").trim();
}

function statusBytes(pid: number, field: string): number {
  const [, kib] = new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(read(pid, "status")) ?? [];
  return Number(kib ?? 0) * KIB;
}

function read(pid: number, file: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${file}`);
  } catch {
    return "";
  }
}
