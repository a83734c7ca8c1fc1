/** A contender that runs: its nodes, its broker, and the process with its clients. */

import { Broker } from "../../examples/chat/broker.ts";
import { commandOf, type Contender } from "./contenders.ts";
import type { NodeConfig } from "./contenders/node_config.ts";
import { Generator } from "./load/generator.ts";
import type { JoinPlan } from "./load/orders.ts";
import {
  childrenOf,
  cpuSecondsOf,
  peakBytesOf,
  programOf,
  resetPeakOf,
  residentBytesOf,
} from "./proc.ts";
import { Program } from "./program.ts";

/** Everybody is on this machine. */
export const HOSTNAME = "127.0.0.1";

/** How long a contender may take until it takes connections. */
const START_LIMIT_MS = 30_000;
/** How long its nodes may take to find each other. */
const SETTLE_LIMIT_MS = 20_000;

/**
 * Once its input ends, which it does when we are gone however we go, has a stopped process go on: it
 * could not see by itself that it is to end.
 */
const THAW = 'cat > /dev/null; kill -CONT "$1"';

/** A node that takes connections. */
export interface RunningNode {
  readonly pid: number;
  readonly port: number;
  /** What other nodes are told. */
  readonly seed?: string;
}

/** Something that a node says by itself, and when it said so. */
export interface NodeEvent {
  readonly event: string;
  readonly from: number;
  readonly atMs: number;
}

/** Processor seconds, by who has used them. */
export interface CpuSeconds {
  readonly nodes: number;
  readonly broker: number;
  readonly generator: number;
}

/** A contender with its broker and its clients. */
export class Running implements AsyncDisposable {
  readonly contender: Contender;
  readonly generator: Generator = new Generator();
  readonly nodes: RunningNode[] = [];
  #broker: Broker | undefined;
  #programs: Program[] = [];
  /** What wakes stopped nodes. */
  readonly #frozen: Deno.ChildProcess[] = [];
  #onReady: (node: RunningNode) => void = () => {};
  #onDone: (heapBytes: number) => void = () => {};
  #onEvent: (event: NodeEvent) => void = () => {};

  private constructor(contender: Contender) {
    this.contender = contender;
  }

  /** Starts so many nodes, and resolves when all take connections. */
  static async start(contender: Contender, nodes: number): Promise<Running> {
    const running = new Running(contender);
    try {
      if (contender.broker) running.#broker = await Broker.start(contender.broker);
      if (contender.oneProgram) await running.#startProgram(nodes, nodes);
      else for (let i = 0; i < nodes; i++) await running.#startProgram(1, nodes);
    } catch (error) {
      await running.stop();
      throw error;
    }
    return running;
  }

  /** Connects clients, has them join, and waits until they hear every node. */
  async settle(clients: number, plan: JoinPlan): Promise<void> {
    await this.open(clients, plan);
    await this.generator.run({ op: "join", ...plan });
    await this.generator.run({ op: "settle", timeoutMs: SETTLE_LIMIT_MS });
  }

  /** Connects clients. */
  async open(clients: number, plan?: JoinPlan): Promise<void> {
    const { dialect } = this.contender;
    const ports = this.nodes.map(({ port }) => port);
    await this.generator.run({ op: "open", hostname: HOSTNAME, ports, dialect, clients, plan });
  }

  cpuSeconds(): CpuSeconds {
    const sum = (pids: readonly number[]) => pids.reduce((all, pid) => all + cpuSecondsOf(pid), 0);
    return {
      nodes: sum(this.#pids),
      broker: sum(this.#brokerPids),
      generator: cpuSecondsOf(this.generator.pid),
    };
  }

  /** Of all nodes. */
  residentBytes(): number {
    return this.#pids.reduce((all, pid) => all + residentBytesOf(pid), 0);
  }

  /** Of all nodes but one, and of the broker. */
  residentBytesExcept(node?: number): number {
    const except = node === undefined ? undefined : this.nodes[node].pid;
    const pids = [...this.#pids, ...this.#brokerPids].filter((pid) => pid !== except);
    return pids.reduce((all, pid) => all + residentBytesOf(pid), 0);
  }

  peakBytes(): number {
    return [...this.#pids, ...this.#brokerPids].reduce((all, pid) => all + peakBytesOf(pid), 0);
  }

  resetPeak(): void {
    for (const pid of [...this.#pids, ...this.#brokerPids]) resetPeakOf(pid);
  }

  /** Has all nodes free what is garbage. */
  async collectGarbage(): Promise<void> {
    await this.#heapBytesAfter("gc");
  }

  /** What the nodes have in JavaScript's heap and beside it. */
  async heapBytes(): Promise<number> {
    return await this.#heapBytesAfter("measure");
  }

  async #heapBytesAfter(op: string): Promise<number> {
    let sum = 0;
    for (const program of this.#programs) {
      const { promise, resolve } = Promise.withResolvers<number>();
      this.#onDone = resolve;
      program.tell({ op });
      sum += await Promise.race([promise, program.ended]) ?? 0;
    }
    return sum;
  }

  /** Stops a node as if its machine had: it keeps its connections, and does nothing. */
  freeze(node: number): void {
    const { pid } = this.nodes[node];
    Deno.kill(pid, "SIGSTOP");
    const args = ["-c", THAW, "sh", String(pid)];
    this.#frozen.push(new Deno.Command("sh", { args, stdin: "piped", stderr: "null" }).spawn());
  }

  /** Has stopped nodes go on. */
  async thaw(): Promise<void> {
    for (const guard of this.#frozen.splice(0)) {
      await guard.stdin.close().catch(() => {});
      await guard.status;
    }
  }

  /** Calls `take` for what nodes say by themselves from now on. */
  listen(take: (event: NodeEvent) => void): void {
    this.#onEvent = take;
  }

  /**
   * Kills a node without warning. A successor is started, or starts itself; it resolves with how long
   * that took until it takes connections.
   */
  async replace(node: number, { pauseMs }: { pauseMs: number }): Promise<number> {
    const old = this.nodes[node];
    const program = this.#programs.find(({ pid }) => pid === old.pid);
    const succeeded = Promise.withResolvers<RunningNode>();
    this.#onReady = succeeded.resolve;
    const killed = performance.now();
    Deno.kill(old.pid, "SIGKILL");
    if (!program) {
      this.nodes[node] = await within(succeeded.promise, "the next worker");
      return performance.now() - killed;
    }
    await program.ended;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const started = performance.now();
    this.#programs = this.#programs.filter((other) => other !== program);
    const others = this.nodes.filter((_, i) => i !== node);
    this.nodes[node] = await this.#startProgram(1, this.nodes.length, others);
    return performance.now() - started;
  }

  async stop(): Promise<void> {
    await this.thaw();
    await Promise.all([this.generator.stop(), ...this.#programs.map((program) => program.stop())]);
    await this.#broker?.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #pids(): number[] {
    const programs = this.contender.restarts ? [] : this.#programs;
    return [...new Set([...programs, ...this.nodes].map(({ pid }) => pid))];
  }

  get #brokerPids(): number[] {
    const broker = this.#broker;
    if (!broker) return [];
    return childrenOf(broker.pid).filter((pid) => programOf(pid) === broker.program);
  }

  async #startProgram(
    count: number,
    nodes: number,
    others?: readonly RunningNode[],
  ): Promise<RunningNode> {
    const { kind } = this.contender;
    const config: NodeConfig = {
      ...{ kind, nodes, hostname: HOSTNAME },
      brokerPort: this.#broker?.port ?? 0,
      seeds: (others ?? this.nodes).flatMap(({ seed }) => seed ?? []),
    };
    const ready = Promise.withResolvers<RunningNode>();
    let left = count;
    this.#onReady = (node) => {
      if (!others) this.nodes.push(node);
      if (--left === 0) ready.resolve(node);
    };
    const program = new Program({
      ...commandOf(this.contender, config),
      onLine: (value) => this.#take(value),
    });
    this.#programs.push(program);
    program.ended.then(() => ready.reject(new Error(`${this.contender.name} has ended`)));
    return await within(ready.promise, this.contender.name);
  }

  #take(value: Record<string, unknown>): void {
    if (value.ready) this.#onReady(value.ready as RunningNode);
    else if (value.done) this.#onDone(Number(value.heapBytes));
    else if (value.event) {
      const { event, pid } = value;
      this.#onEvent({ event: String(event), from: Number(pid), atMs: performance.now() });
    }
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const fail = () => late.reject(new Error(`${what} is not ready in ${START_LIMIT_MS} ms`));
  const timer = setTimeout(fail, START_LIMIT_MS);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
