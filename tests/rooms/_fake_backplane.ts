import { type Backplane, type PublishReport, Receivers } from "../../backplane/mod.ts";

/** Keeps what is published, and brings what a test says has come from another node. */
export class FakeBackplane implements Backplane {
  readonly published: Uint8Array[] = [];
  readonly maxMessageBytes: number | undefined;
  report: PublishReport = { peers: 3, dropped: 1 };
  onPublish: () => void = () => {};
  /** Rooms that are open on this node, in the order in which they were opened. */
  readonly open = new Set<string>();
  readonly #receivers = new Receivers();

  constructor(maxMessageBytes?: number) {
    this.maxMessageBytes = maxMessageBytes;
  }

  publish(message: Uint8Array, from?: Disposable): PublishReport {
    this.published.push(message);
    this.onPublish();
    this.#receivers.deliverLocally(message, "this node", from);
    return this.report;
  }

  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable {
    return this.#receivers.add(receive);
  }

  openRoom(room: string): void {
    if (this.open.has(room)) throw new Error(`${JSON.stringify(room)} is open already`);
    this.open.add(room);
  }

  closeRoom(room: string): void {
    if (!this.open.delete(room)) throw new Error(`${JSON.stringify(room)} is not open`);
  }

  /** A message from another node. Throws what the receiver throws. */
  bring(message: Uint8Array): void {
    this.#receivers.deliver(message, "another node");
  }
}
