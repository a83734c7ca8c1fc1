import { type ClusterPlan, planCluster } from "../../examples/chat/cluster_plan.ts";
import { NodeProcess } from "../../examples/chat/node_process.ts";

/** Longer than anything here takes, even on a busy machine. */
export const PATIENCE_MS = 20_000;

/** A chat on three nodes, each a process. */
export class ChatCluster implements AsyncDisposable {
  readonly plan: ClusterPlan = planCluster(3);
  readonly nodes: NodeProcess[];

  private constructor() {
    this.nodes = this.plan.nodes.map((node) => new NodeProcess(node, this.plan));
  }

  /** Resolves when all are connected with each other. */
  static async start(): Promise<ChatCluster> {
    const cluster = new ChatCluster();
    try {
      await Promise.all(cluster.nodes.map((node) => ready(node, 2)));
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** Where the page of a node is. */
  url(index: number): string {
    return this.plan.nodes[index].url;
  }

  /** Starts a node that has ended, and waits until it is connected with the others. */
  async startAgain(index: number): Promise<void> {
    this.nodes[index] = new NodeProcess(this.plan.nodes[index], this.plan);
    await ready(this.nodes[index], 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

async function ready(node: NodeProcess, peers: number): Promise<void> {
  await within(`${node.plan.name} being connected with ${peers} nodes`, node.ready(peers));
}

/** Waits for something that must come. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`waited ${PATIENCE_MS} ms for ${what}`)),
    PATIENCE_MS,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
