import type { Backplane, PublishReport } from "../../mod.ts";

/** Keeps what is published, and brings what a test says has come from another node. */
export class FakeBackplane implements Backplane {
  readonly published: Uint8Array[] = [];
  readonly maxMessageBytes: number | undefined;
  report: PublishReport = { peers: 3, dropped: 1 };
  onPublish: () => void = () => {};
  /** Rooms that are open on this node, in the order in which they were opened. */
  readonly open = new Set<string>();
  #receive: (message: Uint8Array) => void = () => {};

  constructor(maxMessageBytes?: number) {
    this.maxMessageBytes = maxMessageBytes;
  }

  publish(message: Uint8Array): PublishReport {
    this.published.push(message);
    this.onPublish();
    return this.report;
  }

  subscribe(receive: (message: Uint8Array) => void): void {
    this.#receive = receive;
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
    this.#receive(message);
  }
}
