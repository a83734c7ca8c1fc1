/** A node as the page shows it. */
export interface NodeState {
  readonly name: string;
  /** `here` is the node that serves the page; `away` was connected once and is not any more. */
  readonly state: "here" | "connected" | "away";
}

/** Nodes that are remembered when they are gone. Where names change with each start, they add up. */
const MAX_AWAY = 20;

/** Which nodes there are, seen from one of them. The mesh knows who is there; this knows who was. */
export class ClusterView {
  readonly #self: string;
  readonly #away = new Set<string>();
  #connected: readonly string[] = [];

  constructor(self: string) {
    this.#self = self;
  }

  /** Takes note of who is connected now. */
  update(connected: readonly string[]): void {
    for (const name of this.#connected) this.#away.add(name);
    for (const name of connected) this.#away.delete(name);
    for (const name of this.#away) {
      if (this.#away.size <= MAX_AWAY) break;
      this.#away.delete(name);
    }
    this.#connected = [...connected];
  }

  /** All nodes, by name. */
  get nodes(): NodeState[] {
    const nodes: NodeState[] = [
      { name: this.#self, state: "here" },
      ...this.#connected.map((name) => ({ name, state: "connected" as const })),
      ...Array.from(this.#away, (name) => ({ name, state: "away" as const })),
    ];
    return nodes.sort((a, b) => a.name < b.name ? -1 : 1);
  }
}
