import type { FrameErrorCode } from "../codec/mod.ts";

/**
 * This node missed messages. The event is dispatched as soon as catching up is possible, so an
 * application can tell its clients to fetch what they lack.
 */
export class MissedEvent<Peer = unknown> extends Event {
  /** The link on which messages were lost; undefined on a broker. */
  readonly peer: Peer;
  /** `nodeId` of the node whose messages were lost; undefined if nobody can tell. */
  readonly from: string | undefined;
  /** How many messages; undefined if nobody can tell. */
  readonly count: number | undefined;

  /** Makes a `missed` event. */
  constructor(peer: Peer, from?: string, count?: number) {
    super("missed");
    this.peer = peer;
    this.from = from;
    this.count = count;
  }
}

/** Another node is gone: it has stopped, or this node has lost it. */
export class NodeDownEvent extends Event {
  /** The `from` of the node's messages. */
  readonly nodeId: string;

  /** Makes a `nodedown` event. */
  constructor(nodeId: string) {
    super("nodedown");
    this.nodeId = nodeId;
  }
}

/** A message that arrived could not be decoded. It was dropped, and the link stays up. */
export class MalformedEvent<Peer = undefined> extends Event {
  /** The link on which it came; undefined on a broker. */
  readonly peer: Peer;
  /** What is wrong with the message. */
  readonly code: FrameErrorCode;

  /** Makes a `malformed` event. */
  constructor(peer: Peer, code: FrameErrorCode) {
    super("malformed");
    this.peer = peer;
    this.code = code;
  }
}

/**
 * A message did not fit the queue (`maxQueuedBytes`). The event is dispatched once, and again only
 * after half of the queue has drained.
 */
export class OverflowEvent<Peer = undefined> extends Event {
  /** The link whose queue is full; undefined on a broker. */
  readonly peer: Peer;
  /** All messages dropped for this peer, or on this broker, so far. */
  readonly dropped: number;

  /** Makes an `overflow` event. */
  constructor(peer: Peer, dropped: number) {
    super("overflow");
    this.peer = peer;
    this.dropped = dropped;
  }
}

/** This node could not make a link, subscribe to a topic or hand over a message. */
export class RefusedEvent<Code extends string = string> extends Event {
  /** The other end: a node's address, a broker's topic, or `"seeds"`. */
  readonly address: string;
  /** Why, for programs. */
  readonly code: Code;
  /** Why, in full. Usually an `Error`. */
  readonly cause: unknown;

  /** Makes a `refused` event. */
  constructor(address: string, code: Code, cause: unknown) {
    super("refused");
    this.address = address;
    this.code = code;
    this.cause = cause;
  }
}
