import type { Mutation } from "../mutation.ts";

/** Faults in presence that its simulation must find. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: "changes are applied although some before them are missing",
    file: "presence/_replica.ts",
    find: "first > known + 1 || ",
    replace: "",
  },
  {
    name: "a gap that only a heartbeat shows is not noticed",
    file: "presence/_replica.ts",
    find: "instance.number = 0;\n    this.#mentioned(instance, number);",
    replace: "instance.number = 0;",
  },
  {
    name: "what a snapshot does not have stays",
    file: "presence/_replica.ts",
    find: "    this.#removeAll(before);\n",
    replace: "",
  },
  {
    name: "a snapshot with a part missing is taken for whole",
    file: "presence/_replica.ts",
    find: " || part > assembly.next",
    replace: "",
  },
  {
    name: "a snapshot is followed by changes from before it",
    file: "presence/_replica.ts",
    find: "    instance.number = number;\n    for",
    replace: "    instance.number = number - 1;\n    for",
  },
  {
    name: "a node that is down keeps its entries",
    file: "presence/_replica.ts",
    find: "this.#nodes.get(node) ?? []) this.#drop(instance);",
    replace: "this.#nodes.get(node) ?? []) instance.deadline = 0;",
  },
  {
    name: "a node that is down keeps the entries of its second instance",
    file: "presence/_replica.ts",
    find: "this.#nodes.get(node) ?? []) this.#drop(instance);",
    replace: "[...this.#nodes.get(node) ?? []].slice(0, 1)) this.#drop(instance);",
  },
  {
    name: "a farewell is ignored",
    file: "presence/_replica.ts",
    find: `if (head.kind === "gone") return this.#drop(this.#find(head.instance, node));`,
    replace: `if (head.kind === "gone") return;`,
  },
  {
    name: "silence is never taken for death",
    file: "presence/_replica.ts",
    find: "        this.#drop(instance);\n        continue;\n",
    replace: "        instance.deadline = Infinity;\n        continue;\n",
  },
  {
    name: "a node that was frozen takes the others for dead",
    file: "presence/_replica.ts",
    find: "      if (isLate && !instance.isExtended) {\n",
    replace: "      if (isLate && instance.isExtended) {\n",
  },
  {
    name: "a freeze is not noticed",
    file: "presence/_core.ts",
    find: "lateMs > LATE_SHARE * timeoutMs",
    replace: "lateMs > 1_000 * timeoutMs",
  },
  {
    name: "a meta that has changed is not noted",
    file: "presence/_replica.ts",
    find: "      entry.meta = meta;\n    } else {",
    replace: "    } else {",
  },
  {
    name: "a snapshot's metas are not noted",
    file: "presence/_replica.ts",
    find: "        previous.meta = entry.meta;\n",
    replace: "",
  },
  {
    name: "an entry that is replaced stays",
    file: "presence/_replica.ts",
    find: "    if (previous !== undefined) this.#remove(previous);\n",
    replace: "",
  },
  {
    name: "what has gone counts as held",
    file: "presence/_replica.ts",
    find: "    for (const entry of before.values()) this.#held.release(entry);\n",
    replace: "",
  },
  {
    name: "changes bear the number of the one before",
    file: "presence/_authority.ts",
    find: "this.#number - changes.length + 1",
    replace: "this.#number - changes.length",
  },
  {
    name: "every question is answered with a snapshot of its own",
    file: "presence/_authority.ts",
    find: "Math.max(MIN_ANSWER_INTERVAL_MS, this.#entryBytes",
    replace: "Math.max(0, this.#entryBytes",
  },
  {
    name: "a message is larger than the backplane takes",
    file: "presence/_authority.ts",
    find: "    const isFull = this.#pendingBytes + size > this.#maxBytes ||",
    replace: "    const isFull =",
  },
  {
    name: "a part of a snapshot is larger than the backplane takes",
    file: "presence/_authority.ts",
    find: "bytes + size > maxBytes || ",
    replace: "",
  },
  {
    name: "the last entry of an id goes from the wrong end of its list",
    file: "presence/_roster.ts",
    find: "    if (next === undefined) person.last = previous;\n",
    replace: "    if (next === undefined) person.last = person.first;\n",
  },
  {
    name: "an id leaves with its first entry",
    file: "presence/_roster.ts",
    find: "    if (person.first !== undefined) return;\n",
    replace: "    if (person.first !== undefined && previous !== undefined) return;\n",
  },
  {
    name: "a room is counted by entries",
    file: "presence/_roster.ts",
    find: "      last.next = entry;\n",
    replace: "      last.next = entry;\n      place.present++;\n",
  },
  {
    name: "an instance hears itself as another",
    file: "presence/_core.ts",
    find: "      if (node === self) return;\n",
    replace: "      if (node === self) return this.#replica.receive(head, bytes, node, now);\n",
  },
  {
    name: "an id that is replaced is not left",
    file: "presence/_core.ts",
    find: "      this.roster.remove(previous);\n",
    replace: "",
  },
];
