import {
  type Backplane,
  MissedEvent,
  NodeDownEvent,
  type PublishReport,
  Receivers,
} from "../../backplane/mod.ts";
import { FrameError } from "../../codec/mod.ts";

/** Nodes of one process, each a backplane. What one publishes the others hear before it returns. */
export class Bus {
  readonly nodes: BusNode[] = [];
  /** Bytes of every message so far. */
  readonly sizes: number[] = [];

  node(options: { maxMessageBytes?: number; hasNodeId?: boolean } = {}): BusNode {
    const node = new BusNode(this, `node ${this.nodes.length}`, options);
    this.nodes.push(node);
    return node;
  }

  /** A node ends without a word, and the others are told. */
  kill(node: BusNode): void {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    const { nodeId } = node;
    if (nodeId === undefined) return;
    for (const other of this.nodes) other.emit(new NodeDownEvent(nodeId));
  }

  /** Ends the links between two nodes, which both notice. */
  cut(a: BusNode, b: BusNode): void {
    for (const [node, other] of [[a, b], [b, a]]) {
      node.deafTo.add(other);
      if (other.nodeId !== undefined) node.emit(new NodeDownEvent(other.nodeId));
    }
  }

  /** Links two nodes again. */
  heal(a: BusNode, b: BusNode): void {
    for (const [node, other] of [[a, b], [b, a]]) node.deafTo.delete(other);
    for (const [node, other] of [[a, b], [b, a]]) {
      node.emit(new MissedEvent(undefined, other.nodeId));
    }
  }
}

export class BusNode implements Backplane {
  readonly nodeId: string | undefined;
  maxMessageBytes: number;
  /** Nodes that it does not hear. */
  readonly deafTo = new Set<BusNode>();
  /** Codes of messages that could not be decoded. */
  readonly malformed: string[] = [];
  readonly listeners = new Map<string, Set<(event: never) => void>>();
  readonly #bus: Bus;
  readonly #receivers = new Receivers();
  #ready: Promise<void> = Promise.resolve();

  constructor(
    bus: Bus,
    name: string,
    { maxMessageBytes = 1024 * 1024, hasNodeId = true }: {
      maxMessageBytes?: number;
      hasNodeId?: boolean;
    },
  ) {
    this.#bus = bus;
    this.nodeId = hasNodeId ? name : undefined;
    this.maxMessageBytes = maxMessageBytes;
  }

  publish(message: Uint8Array, from?: Disposable): PublishReport {
    if (message.length > this.maxMessageBytes) throw new Error(`${message.length} bytes`);
    this.#bus.sizes.push(message.length);
    this.#receivers.deliverLocally(message, this.nodeId, from);
    if (!this.#bus.nodes.includes(this)) return { peers: 0, dropped: 0 };
    const others = this.#bus.nodes.filter((node) => node !== this && !node.deafTo.has(this));
    for (const other of others) other.hear(message, this.nodeId);
    return { peers: others.length, dropped: 0 };
  }

  /** Takes a message as from another node. */
  hear(message: Uint8Array, from?: string): void {
    const lent = message.slice();
    try {
      this.#receivers.deliver(lent, from);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.malformed.push(error.code);
    } finally {
      lent.fill(0xff);
    }
  }

  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable {
    return this.#receivers.add(receive);
  }

  /** What `ready` gives. */
  set readiness(ready: Promise<void>) {
    this.#ready = ready;
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.listeners.set(type, (this.listeners.get(type) ?? new Set()).add(listener));
  }

  removeEventListener(type: string, listener: (event: never) => void): void {
    this.listeners.get(type)?.delete(listener);
  }

  emit(event: MissedEvent | NodeDownEvent): void {
    for (const listener of this.listeners.get(event.type) ?? []) listener(event as never);
  }
}
