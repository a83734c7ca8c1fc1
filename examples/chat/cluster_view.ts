/** A node as the page shows it. */
export interface NodeState {
  readonly name: string;
  /** `here` is the node that serves the page. A node that is `away` was connected before. */
  readonly state: "here" | "connected" | "away";
}

/** How many nodes to remember. Names that change with each start would otherwise add up. */
const MAX_AWAY = 20;

/** The nodes that one node sees. The mesh knows those that are connected; this also knows past ones. */
export class ClusterView {
  readonly #self: string;
  readonly #away = new Set<string>();
  #connected: readonly string[] = [];

  constructor(self: string) {
    this.#self = self;
  }

  /** Notes which nodes are connected now. */
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
