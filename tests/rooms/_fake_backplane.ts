import { type Backplane, MissedEvent, type PublishReport, Receivers } from "../../backplane/mod.ts";

/** Keeps what is published, and brings what a test says has come from another node. */
export class FakeBackplane implements Backplane {
  readonly nodeId = "this node";
  readonly published: Uint8Array[] = [];
  readonly maxMessageBytes: number | undefined;
  report: PublishReport = { peers: 3, dropped: 1 };
  onPublish: () => void = () => {};
  /** Subscriptions that have not been disposed. */
  subscriptions = 0;
  /** Listeners for `missed`. */
  readonly missedListeners = new Set<(event: MissedEvent) => void>();
  readonly #receivers = new Receivers();
  /** Open rooms, with the number of `Rooms` that have each open. */
  readonly #open = new Map<string, number>();
  readonly #maxOpen: number;

  /** `maxOpen`: how many `Rooms` share it, so how often a room may be open. */
  constructor(maxMessageBytes?: number, maxOpen = 1) {
    this.maxMessageBytes = maxMessageBytes;
    this.#maxOpen = maxOpen;
  }

  /** Rooms that are open on this node, in the order in which they were opened. */
  get open(): Set<string> {
    return new Set(this.#open.keys());
  }

  publish(message: Uint8Array, from?: Disposable): PublishReport {
    this.published.push(message);
    this.onPublish();
    this.#receivers.deliverLocally(message, this.nodeId, from);
    return this.report;
  }

  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable {
    this.subscriptions++;
    const subscription = this.#receivers.add(receive);
    const dispose = subscription[Symbol.dispose];
    subscription[Symbol.dispose] = () => {
      this.subscriptions--;
      dispose();
    };
    return subscription;
  }

  openRoom(room: string): void {
    const count = this.#open.get(room) ?? 0;
    if (count === this.#maxOpen) throw new Error(`${JSON.stringify(room)} is open already`);
    this.#open.set(room, count + 1);
  }

  closeRoom(room: string): void {
    const count = this.#open.get(room);
    if (count === undefined) throw new Error(`${JSON.stringify(room)} is not open`);
    if (count === 1) this.#open.delete(room);
    else this.#open.set(room, count - 1);
  }

  addEventListener(type: "missed" | "nodedown", listener: (event: never) => void): void {
    if (type === "missed") this.missedListeners.add(listener as (event: MissedEvent) => void);
  }

  removeEventListener(type: "missed" | "nodedown", listener: (event: never) => void): void {
    if (type === "missed") this.missedListeners.delete(listener as (event: MissedEvent) => void);
  }

  /** A message from another node, whose memory is used again afterwards. Throws as the receiver. */
  bring(message: Uint8Array, from = "another node"): void {
    const lent = message.slice();
    try {
      this.#receivers.deliver(lent, from);
    } finally {
      lent.fill(0xff);
    }
  }

  /** Messages from another node did not arrive. */
  miss(from?: string, count?: number): void {
    for (const listener of this.missedListeners) listener(new MissedEvent("link", from, count));
  }
}
