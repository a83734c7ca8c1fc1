import { admit } from "./duplicate_links.ts";
import type { NodeIdentity } from "./handshake.ts";
import type { Link } from "./link.ts";
import { MeshError } from "./mesh_error.ts";

/**
 * How many incarnations of a linked name may be replaced. If the oldest were forgotten instead,
 * more live nodes than this with one name would replace each other for ever.
 */
const MAX_SUPERSEDED = 256;

/** The links of a node: one for each peer. */
export class Peers implements Iterable<Link> {
  readonly #selfName: string;
  readonly #max: number;
  readonly #links = new Map<string, Link>();
  /** For linked names: incarnations that others have replaced. */
  readonly #superseded = new Map<string, Set<string>>();

  constructor(selfName: string, max: number) {
    this.#selfName = selfName;
    this.#max = max;
  }

  /** How many links there are. */
  get size(): number {
    return this.#links.size;
  }

  /** How many more links there can be. */
  get free(): number {
    return this.#max - this.#links.size;
  }

  /** The link to the node of this name. */
  get(name: string): Link | undefined {
    return this.#links.get(name);
  }

  [Symbol.iterator](): Iterator<Link> {
    return this.#links.values();
  }

  /**
   * Judges a newcomer that has proven itself, and calls `makeLink` if it is let in. `replaced` is
   * the link that it replaces, if any.
   *
   * @throws {MeshError} `already-linked`, `duplicate-name`, `too-many-peers`.
   */
  add(
    peer: NodeIdentity,
    initiator: string,
    makeLink: () => Link,
  ): { link: Link; replaced: Link | undefined } {
    const current = this.#links.get(peer.name);
    const superseded = this.#superseded.get(peer.name) ?? new Set<string>();
    const newcomer = { incarnation: peer.incarnation, initiator };
    const admission = admit(current && this.#contender(current), newcomer, superseded);
    if (admission === "refuse") {
      // The peer believes that the link is dead, or it would not have dialled. Check it.
      current?.doubt();
      throw new MeshError("already-linked", peer.name, `a link to ${peer.name} exists and stays`);
    }
    const supersedes = current !== undefined && current.peer.incarnation !== peer.incarnation;
    if (admission === "duplicate" || (supersedes && superseded.size >= MAX_SUPERSEDED)) {
      throw new MeshError(
        "duplicate-name",
        peer.name,
        `${peer.name} is linked, and its incarnation ${peer.incarnation} is refused after ` +
          `${superseded.size} others were replaced: several live nodes have this name`,
      );
    }
    if (current === undefined && this.free <= 0) throw this.tooMany(peer.name);
    if (supersedes) {
      superseded.add(current.peer.incarnation);
      this.#superseded.set(peer.name, superseded);
    }
    const link = makeLink();
    this.#links.set(peer.name, link);
    return { link, replaced: current };
  }

  /** Removes a link that has ended. Returns false if another has replaced it already. */
  remove(link: Link): boolean {
    const { name } = link.peer;
    if (this.#links.get(name) !== link) return false;
    this.#links.delete(name);
    // Without a link of this name, there is nobody to take turns with.
    this.#superseded.delete(name);
    return true;
  }

  /** The error for a node for which there is no place. */
  tooMany(name: string): MeshError {
    return new MeshError("too-many-peers", name, `no place for ${name}: ${this.#max} links are up`);
  }

  #contender(link: Link): { incarnation: string; initiator: string } {
    const initiator = link.direction === "outgoing" ? this.#selfName : link.peer.name;
    return { incarnation: link.peer.incarnation, initiator };
  }
}
