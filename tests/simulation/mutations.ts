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
    find: '      else if (outcome === "dropped") dropped++;\n',
    replace: "",
  },
  {
    name: "an overflow is not announced",
    file: "mesh/send_queue.ts",
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
    find: "bytes <= this.#maxBytes",
    replace: "bytes <= this.#maxBytes + 1",
  },
  {
    name: "a listener leaks with each join",
    file: "rooms/_memberships.ts",
    find: "const entry = this.#entryOf(socket) ?? this.#introduce(socket);",
    replace: "const known = this.#entryOf(socket);\n" +
      '    if (known) socket.addEventListener("close", () => this.#closed(socket), { once: true });\n' +
      "    const entry = known ?? this.#introduce(socket);",
  },
  {
    name: "the excluded socket hears the message",
    file: "rooms/_members.ts",
    find: "return all.filter((member) => member !== excepted);",
    replace: "return all.filter((member) => member !== excepted || true);",
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
    find: "    this.#peerLists.introduce(link);\n    replaced?.end",
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
  {
    name: "rooms that close are not announced",
    file: "mesh/room_changes.ts",
    find: `      ...Array.from(encodeRoomInterests("remove", this.#rooms(false)), encodeFrame),\n`,
    replace: "",
  },
  {
    name: "rooms that open are not announced",
    file: "mesh/room_changes.ts",
    find: `      ...Array.from(encodeRoomInterests("add", this.#rooms(true)), encodeFrame),\n`,
    replace: "",
  },
  {
    name: "a new link is told of no rooms",
    file: "mesh/announcements.ts",
    find: `Array.from(encodeRoomInterests("only", this.#own), encodeFrame)`,
    replace: `Array.from(encodeRoomInterests("only", []), encodeFrame)`,
  },
  {
    name: "a change is announced after the turn's next broadcast",
    file: "mesh/node.ts",
    find: "    this.#interest.flush();\n    for (",
    replace: "    for (",
  },
  {
    name: "a broadcast overtakes a change that waits",
    file: "mesh/send_queue.ts",
    find: "    if (!this.#announcements?.isUrgent) return true;\n",
    replace: "    if (this !== undefined) return true;\n",
  },
  {
    name: "of two changes that wait, the second is lost",
    file: "mesh/announcements.ts",
    find: "      for (const [room, isOpen] of changes) this.#changes.note(room, isOpen);\n",
    replace: "",
  },
  {
    name: "rooms are announced to a node that does not know announcements",
    file: "mesh/interest.ts",
    find:
      "if (this.#own === undefined || !(peer.features & FEATURE_ROOM_INTEREST)) return undefined;",
    replace:
      "if (this.#own === undefined || peer.features === FEATURE_ROOM_INTEREST) return undefined;",
  },
  {
    name: "a node that says nothing is sent nothing",
    file: "mesh/wanted_rooms.ts",
    find: "    this.#everything = [...this.#everything, peer];\n",
    replace: "",
  },
  {
    name: "rooms that a peer removes are kept",
    file: "mesh/wanted_rooms.ts",
    find: "for (const room of rooms) this.#removeOne(peer, wish, room);",
    replace: "for (const room of rooms.slice(1)) this.#removeOne(peer, wish, room);",
  },
  {
    name: "the first announcement does not clear the flag",
    file: "mesh/wanted_rooms.ts",
    find: `    if (op === "only") this.#setEverything(peer, wish, false);\n`,
    replace: "",
  },
  {
    name: "a message for several rooms goes by the first of them",
    file: "mesh/wanted_rooms.ts",
    find: "rooms.length === 1 ? this.#byRoom.get(rooms[0])",
    replace: "rooms.length > 0 ? this.#byRoom.get(rooms[0])",
  },
  {
    name: "a message goes to a peer that does not understand it",
    file: "mesh/send_queue.ts",
    find: "    if (!this.#isKnown(message[0])) return this.#refuse(message);\n",
    replace: "",
  },
  {
    name: "unsupported is reported each time",
    file: "mesh/send_queue.ts",
    find: "      this.#isUnsupportedReported = true;\n",
    replace: "",
  },
  {
    name: "missed messages are not counted",
    file: "mesh/send_queue.ts",
    find: "    if (this.#features & FEATURE_MISSED) this.#missed.add();\n",
    replace: "",
  },
  {
    name: "a peer learns what it has missed after the next broadcast",
    file: "mesh/send_queue.ts",
    find: "    if (this.#missed.count > 0) this.#queueMissed();\n    this.#outbox.push(message);\n",
    replace: "    this.#outbox.push(message);\n",
  },
  {
    name: "a peer learns what it has missed only if a broadcast follows",
    file: "mesh/send_queue.ts",
    find: "    if (this.#missed.count > 0) this.#queueMissed();\n    return this.#outbox.take();\n",
    replace: "    return this.#outbox.take();\n",
  },
  {
    name: "a broken link is not reported as missed",
    file: "mesh/missed.ts",
    find: "    return !isSucceeded;\n",
    replace: "    return false;\n",
  },
  {
    name: "a link that is replaced by one to the same node is reported twice",
    file: "mesh/missed.ts",
    find: "    return !isSucceeded;\n",
    replace: "    return true;\n",
  },
  {
    name: "what was missed is not reported when the link is back",
    file: "mesh/node.ts",
    find: "    if (this.#lostLinks.up(link.peer.name)) this.#onMissed(link);\n",
    replace: "    this.#lostLinks.up(link.peer.name);\n",
  },
];
