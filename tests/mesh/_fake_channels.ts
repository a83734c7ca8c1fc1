import type { WorkerChannel } from "../../mod.ts";

/** The channels of one process, without a process. */
export class FakeChannels {
  readonly #ends = new Map<string, Set<WorkerChannel>>();

  /** Ends that have not been closed. */
  get openCount(): number {
    return this.#ends.values().reduce((sum, ends) => sum + ends.size, 0);
  }

  /** Opens an end, as `BroadcastChannel` does: what it posts comes to all others later. */
  readonly open = (name: string): WorkerChannel => {
    const ends = this.#ends.get(name) ?? new Set();
    this.#ends.set(name, ends);
    const end: WorkerChannel = {
      onmessage: null,
      postMessage: (message) => {
        if (!ends.has(end)) throw new Error("the channel is closed");
        const data: unknown = structuredClone(message);
        for (const other of ends) {
          if (other !== end) queueMicrotask(() => other.onmessage?.({ data }));
        }
      },
      close: () => ends.delete(end),
    };
    ends.add(end);
    return end;
  };
}
