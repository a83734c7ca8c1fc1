/**
 * Every message accounted for: the books of all lives of all nodes, laid side by side.
 *
 * On one link the receiver hears what the sender has queued for it, in order and without a gap, and
 * hears from `missed` how many did not fit: each node checks that itself, with every message
 * (`_link_book.ts`). What is left is the end of each link. What had been queued and not heard is lost
 * with the link, and `peerdown` and `missed` say so. After a goodbye, or on a link that is still up
 * when all is quiet, nothing may be missing. And no link ends without a fault that explains it.
 */

import type { LinkRecord } from "./_link_book.ts";
import type { FaultKind } from "./_plan.ts";
import type { Occupants } from "./_protocol.ts";

/** A node from its start to its end. */
export interface Life {
  readonly name: string;
  readonly incarnation: string;
  /** Left out while it lives. */
  end?: "killed" | "left";
  /** Its links, those that are still up as they were last told of. */
  readonly records: LinkRecord[];
}

/** A fault, and when it began and was over. */
export interface FaultSpan {
  readonly kind: FaultKind;
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Messages that were queued for a link and lost with it, as its `peerdown` has told. */
export interface Loss {
  readonly sender: string;
  readonly receiver: string;
  readonly downAt: number;
  readonly count: number;
}

/** See the file's head. */
export interface Account {
  readonly violations: string[];
  readonly delivered: number;
  readonly dropped: number;
  readonly losses: Loss[];
  /** Queued for nodes that were killed, which cannot tell any more whether they have heard it. */
  readonly unknown: number;
}

/** Faults by which links end. */
const ENDING: ReadonlySet<FaultKind> = new Set(["kill", "freeze", "restart"]);

/** How long after a fault is over a link that was a second one may still end. */
const AFTERMATH_MS = 1_000;

/** Lays the books side by side, at a time when nothing is on its way. */
export function settle(lives: readonly Life[]): Account {
  const byIncarnation = new Map(lives.map((life) => [life.incarnation, life]));
  const violations: string[] = [];
  const losses: Loss[] = [];
  /** What the sender did on a link, and what was heard on it. */
  const pairs = new Map<LinkRecord, LinkRecord>();
  let delivered = 0;
  let dropped = 0;
  let unknown = 0;

  for (const receiver of lives) {
    for (const hears of receiver.records) {
      delivered += hears.heard;
      if (hears.peerLink === undefined) continue;
      const sends = byIncarnation.get(hears.life)?.records.find(({ life, link }) =>
        life === receiver.incarnation && link === hears.peerLink
      );
      if (sends && !pairs.has(sends)) pairs.set(sends, hears);
      else {
        const { heard, peer } = hears;
        violations.push(`${receiver.name} has heard ${heard} messages of ${peer} on no link of it`);
      }
    }
  }

  for (const sender of lives) {
    for (const sends of sender.records) {
      dropped += sends.dropped;
      const receiver = byIncarnation.get(sends.life);
      const hears = pairs.get(sends);
      const link = `${sender.name} to ${sends.peer}`;
      const isTold = sender.end !== "killed" || sends.reason !== undefined;
      const { heard, missed } = hears ?? { heard: 0, missed: 0 };
      if (isTold && (heard > sends.queued || missed > sends.dropped)) {
        violations.push(
          `${link}: ${sends.queued} messages were queued and ${sends.dropped} dropped, ` +
            `${heard} were heard and ${missed} missed`,
        );
        continue;
      }
      const tail = sends.queued - heard;
      const isInOrder = receiver && hasEndedInOrder(sends, hears, receiver, sender);
      if (isInOrder && missed < sends.dropped) {
        violations.push(
          `${link}: ${sends.dropped} messages were dropped, missed tells of ${missed}`,
        );
      }
      if (tail <= 0) continue;
      if (receiver === undefined || receiver.end === "killed" && hears?.reason === undefined) {
        unknown += tail;
      } else if (isInOrder) {
        violations.push(`${link}: the last ${tail} messages have not come, and no event says so`);
      } else {
        const { downAt = Infinity } = sends;
        losses.push({ sender: sender.name, receiver: receiver.name, downAt, count: tail });
      }
    }
  }
  return { violations, delivered, dropped, losses, unknown };
}

/** Links that have ended without a fault that explains it. */
export function unexplainedEnds(lives: readonly Life[], faults: readonly FaultSpan[]): string[] {
  const byIncarnation = new Map(lives.map((life) => [life.incarnation, life]));
  const isExplained = (life: Life, { peer, reason, downAt = 0 }: LinkRecord) =>
    faults.some(({ kind, name, from, to }) =>
      ENDING.has(kind) && reason !== "frame-too-long" &&
      (name === life.name || name === peer) &&
      from <= downAt && downAt <= to + AFTERMATH_MS
    );
  return lives.flatMap((life) =>
    life.records.filter((record) => {
      if (record.reason === undefined) return false;
      if (record.reason === "shut-down") return life.end !== "left";
      if (record.reason === "goodbye") return byIncarnation.get(record.life)?.end !== "left";
      return !isExplained(life, record);
    }).map(({ peer, reason }) => `${life.name} lost ${peer} (${reason}), and no fault explains it`)
  );
}

/** What a node knows of who is in each room. */
export interface PresenceView {
  readonly name: string;
  readonly occupied: Readonly<Record<string, Occupants>>;
}

/** Rooms in which a node sees more or fewer clients than all nodes together have. */
export function disagreements(views: readonly PresenceView[]): string[] {
  return views.flatMap(({ name, occupied }) =>
    Object.entries(occupied).flatMap(([room, { everywhere }]) => {
      const sum = views.reduce((sum, view) => sum + (view.occupied[room]?.here ?? 0), 0);
      return sum === everywhere ? [] : `${name} sees ${everywhere} in ${room}, where ${sum} are`;
    })
  );
}

/** What clients tell of messages that they have not heard, before others that they have. */
export interface ClientGap {
  /** Incarnation of the node that the client was connected to, and of the sender. */
  readonly life: string;
  readonly sender: string;
  readonly count: number;
}

/** Gaps of clients that are larger than what their nodes have missed. */
export function unexplainedGaps(lives: readonly Life[], gaps: readonly ClientGap[]): string[] {
  const byIncarnation = new Map(lives.map((life) => [life.incarnation, life]));
  return gaps.filter(({ life, sender, count }) => {
    const receiver = byIncarnation.get(life);
    const records = receiver?.records.filter((record) => record.life === sender) ?? [];
    // With a second link to the sender, nobody knows how many were lost with the first.
    if (records.length > 1 || records.some(({ missed }) => missed >= count)) return false;
    const mayKnow = receiver?.end !== "killed";
    return mayKnow || !mayHaveDropped(byIncarnation.get(sender), life, count);
  }).map(({ life, sender, count }) =>
    `a client of ${byIncarnation.get(life)?.name ?? life} has not heard ${count} messages of ` +
    `${byIncarnation.get(sender)?.name ?? sender}, and missed does not tell of so many`
  );
}

/**
 * True if a sender has dropped as many for a node that was killed, which may not have told of its last
 * gap; or was killed itself, and can tell no more.
 */
function mayHaveDropped(sender: Life | undefined, receiver: string, count: number): boolean {
  const records = sender?.records.filter(({ life }) => life === receiver) ?? [];
  return sender?.end === "killed" || records.some(({ dropped }) => dropped >= count);
}

/** Connections that have ended otherwise than by their node. */
export interface ClosedConnections {
  readonly life: string;
  readonly code: number;
  readonly count: number;
}

/** RFC 6455's *try again later*, by which `Rooms` closes a slow socket. */
export const SLOW_CODE = 1013;

/** Connections that have ended though their node was not killed, and they were not slow. */
export function unexplainedCloses(
  lives: readonly Life[],
  closed: readonly ClosedConnections[],
): string[] {
  const byIncarnation = new Map(lives.map((life) => [life.incarnation, life]));
  return closed.filter(({ life, code }) =>
    code !== SLOW_CODE && byIncarnation.get(life)?.end !== "killed"
  ).map(({ life, code, count }) =>
    `${count} clients of ${
      byIncarnation.get(life)?.name ?? life
    } were closed with ${code}, and no ` +
    `fault explains it`
  );
}

/** True if nothing may be missing: the sender has left in order, or the link is still up. */
function hasEndedInOrder(
  sends: LinkRecord,
  hears: LinkRecord | undefined,
  receiver: Life,
  sender: Life,
): boolean {
  if (sends.reason === undefined) return sender.end === undefined;
  if (sends.reason !== "shut-down") return false;
  if (hears) return hears.reason === "goodbye";
  return receiver.records.some(({ life, reason, heard }) =>
    life === sender.incarnation && reason === "goodbye" && heard === 0
  );
}
