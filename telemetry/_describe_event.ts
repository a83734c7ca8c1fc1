import type { MissedEvent, OverflowEvent, RefusedEvent } from "../backplane/mod.ts";
import type { DownEvent, UpEvent } from "../brokers/nats.ts";
import type { PeerDownEvent, PeerInfo, PeerUpEvent } from "../mesh/mod.ts";

/** The events that are logged. */
export const LOGGED_TYPES: readonly string[] = [
  ...["peerup", "peerdown", "up", "down"],
  ...["refused", "malformed", "overflow", "missed", "unsupported", "slow"],
];

/** An event in words. */
export interface EventDescription {
  /** Its type, and its code or reason if it has one. */
  readonly kind: string;
  /** What it is about; empty if there is only one such thing. */
  readonly address: string;
  /** The event as a sentence for people. */
  readonly text: string;
}

/** Why a peer is gone, for people. */
const REASONS: Readonly<Record<string, string>> = {
  goodbye: "it has shut down",
  closed: "it closed the connection, or its process ended",
  failed: "the connection broke",
  heartbeat: "it does not answer",
  "frame-too-long": "it sent a frame above maxMessageBytes",
  replaced: "a newer link takes over",
  "shut-down": "this node shuts down",
};

/** Describes one of {@linkcode LOGGED_TYPES}. */
export function describeEvent(event: Event): EventDescription {
  const { type } = event;
  const about = (address: string, text: string, code = "") => ({
    kind: code === "" ? type : `${type} ${code}`,
    address,
    text,
  });
  switch (type) {
    case "peerup": {
      const { peer } = event as PeerUpEvent;
      return about(peer.name, `${peer.name} is linked (${peer.direction})`);
    }
    case "peerdown": {
      const { peer, reason } = event as PeerDownEvent;
      return about(peer.name, `${peer.name} is gone: ${REASONS[reason] ?? reason}`, reason);
    }
    case "up": {
      const { dropped } = event as UpEvent;
      const lost = dropped > 0 ? `; ${count(dropped)} dropped meanwhile` : "";
      return about("", `the broker is within reach${lost}`);
    }
    case "down": {
      const { sends, hears, unconfirmed } = event as DownEvent;
      const what = sends ? "delivers no messages" : hears ? "takes no messages" : "is away";
      const lost = unconfirmed > 0 ? `; ${count(unconfirmed)} may be lost` : "";
      return about("", `the broker ${what}${lost}`);
    }
    case "refused": {
      const { address, code, cause } = event as RefusedEvent;
      return about(address, `refused: ${address}: ${code}${because(cause)}`, code);
    }
    case "malformed": {
      const { peer, code } = event as Event & { peer?: PeerInfo; code: string };
      return about(nameOf(peer), `a malformed message (${code}) came from ${nameOf(peer)}`, code);
    }
    case "overflow": {
      const { peer, dropped } = event as OverflowEvent<PeerInfo | undefined>;
      const lost = `${count(dropped)} dropped so far`;
      return about(nameOf(peer), `the queue for ${nameOf(peer)} is full; ${lost}`);
    }
    case "missed": {
      const { peer, from, count: messages } = event as MissedEvent<PeerInfo | undefined>;
      const source = peer?.name ?? from ?? "other nodes";
      const lost = messages === undefined ? "messages" : count(messages);
      return about(source, `this node has missed ${lost} from ${source}`);
    }
    case "unsupported": {
      const { peer, tag } = event as Event & { peer?: PeerInfo; tag: number };
      const name = nameOf(peer);
      return about(name, `${name} runs a version that does not know message 0x${hex(tag)}`);
    }
    case "slow":
      return about("", "a socket is slow: its client does not read fast enough");
    default:
      return about("", type);
  }
}

function nameOf(peer: PeerInfo | undefined): string {
  return peer?.name ?? "the broker";
}

function count(messages: number): string {
  return messages === 1 ? "1 message" : `${messages} messages`;
}

function hex(tag: number): string {
  return tag.toString(16).padStart(2, "0").toUpperCase();
}

/** The messages of an error and of its causes, on one line, whatever was thrown. */
function because(cause: unknown): string {
  const messages: string[] = [];
  let error = cause;
  // A chain of causes may be circular.
  for (let depth = 0; depth < 3 && error !== undefined && error !== null; depth++) {
    const message = error instanceof Error ? error.message : String(error);
    // Most of our errors quote their cause already.
    if (!messages.some((said) => said.includes(message))) messages.push(message);
    error = error instanceof Error ? error.cause : undefined;
  }
  // A stranger may control a part of the text, so it must stay one line.
  const text = messages.join(": ").replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return text === "" ? "" : `: ${text}`;
}
