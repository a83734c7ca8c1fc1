import type { Mutation } from "../mutation.ts";

/** Faults that the simulation must find. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: "a receiver forwards what it hears",
    file: "mesh/node.ts",
    find: "        onBroadcast: (link, message) =>\n",
    replace: "        onBroadcast: (link, message) =>\n" +
      "          [...this.#peers].forEach((other) => other === link || other.publish(message)) ??\n",
  },
  {
    name: "a ghost is not replaced",
    file: "mesh/duplicate_links.ts",
    find: `return superseded.has(newcomer.incarnation) ? "duplicate" : "replace";`,
    replace: `return superseded.has(newcomer.incarnation) ? "duplicate" : "refuse";`,
  },
  {
    name: "a dropped message is not counted",
    file: "mesh/node.ts",
    find: "      else dropped++;\n",
    replace: "",
  },
  {
    name: "an overflow is not announced",
    file: "mesh/link.ts",
    find: "    this.#overflow.dropped();\n",
    replace: "",
  },
  {
    name: "the tie-break is inverted on one side",
    file: "mesh/connector.ts",
    find: `const initiator = direction === "outgoing" ? self.name : peer.name;`,
    replace: `const initiator = self.name;`,
  },
  {
    name: "the node with the larger name decides, and so does the other",
    file: "mesh/connector.ts",
    find: "if (isMeshLang(peer) || !isSmallerName(this",
    replace: "if (isMeshLang(peer) || isSmallerName(this",
  },
  {
    name: "the timer of a handshake is not cleared",
    file: "mesh/pending_handshakes.ts",
    find: "      this.#clock.clearTimeout(timer);\n",
    replace: "",
  },
  {
    name: "order is broken under back-pressure",
    file: "mesh/outbox.ts",
    find: "this.#taken = this.#segments.shift();",
    replace: "this.#taken = this.#segments.pop();",
  },
  {
    name: "the limit of a queue is off by one",
    file: "mesh/outbox.ts",
    find: "this.#queuedBytes + size > this.#maxBytes",
    replace: "this.#queuedBytes + size > this.#maxBytes + 1",
  },
  {
    name: "a listener leaks on leave",
    file: "rooms/rooms.ts",
    find: "    if (places.size === 0) this.#socketCount--;\n    if (this.#vacate(",
    replace: "    if (places.size === 0) {\n      this.#socketCount--;\n" +
      "      this.#sockets.delete(socket);\n    }\n    if (this.#vacate(",
  },
  {
    name: "the excluded socket hears the message",
    file: "rooms/rooms.ts",
    find: "      if (socket === except) continue;\n",
    replace: "      if (socket === except) this.#sent += 0;\n",
  },
  {
    name: "a write that was cut short is taken for whole",
    file: "mesh/link.ts",
    find: "          at += size;\n",
    replace: "          at = bytes.length;\n",
  },
  {
    name: "a dead link is never given up",
    file: "mesh/heartbeat.ts",
    find: `LATE_SHARE * this.#timeoutMs) return { action: "dead" };`,
    replace: `LATE_SHARE * this.#timeoutMs) return { action: "wait", againMs: this.#timeoutMs };`,
  },
  {
    name: "what arrives from a slow peer is no sign of life",
    file: "mesh/link.ts",
    find: "        this.#heartbeat.moved(now);\n",
    replace: "",
  },
  {
    name: "a node that only receives never says that it does",
    file: "mesh/link.ts",
    find: "if (this.#delivered > deliveredBefore || decoder.inFrame) this.#acknowledge(now);",
    replace: "",
  },
  {
    name: "a goodbye is taken for a broken connection",
    file: "mesh/link.ts",
    find: `return this.end("goodbye");`,
    replace: `return this.end("closed");`,
  },
  {
    name: "a goodbye overtakes the last words",
    file: "mesh/link.ts",
    find: "    await this.#writing;\n    if (this.peer.features",
    replace: "    if (this.peer.features",
  },
  {
    name: "new peers are not told of others",
    file: "mesh/node.ts",
    find: "    this.#peerLists.send(link);\n    replaced?.end",
    replace: "    replaced?.end",
  },
  {
    name: "a dial that has failed is never repeated",
    file: "mesh/known_nodes.ts",
    find: "    node.dialling = false;\n",
    replace: "",
  },
  {
    name: "the memory of a message in pieces loses its beginning as it grows",
    file: "codec/framing.ts",
    find: "      larger.set(held.subarray(0, this.#heldSize));\n",
    replace: "",
  },
];
