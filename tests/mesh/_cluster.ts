/** Runs on every runtime. */

import assert from "node:assert/strict";
import {
  type Mesh,
  MeshError,
  type MeshEventMap,
  type MeshOptions,
  startMesh,
} from "../../mesh/mod.ts";

export const COOKIE = "correct horse battery staple";

/** Starts a node on a free loopback port, named after its letter. */
export function startNode(local: string, options: Partial<MeshOptions> = {}): Promise<Mesh> {
  return startMesh({ name: `${local}@127.0.0.1:0`, cookie: COOKIE, ...options });
}

/** Starts a node without TLS, for tests that play its peer by hand or look at the wire. */
export function startPlainNode(local: string, options: Partial<MeshOptions> = {}): Promise<Mesh> {
  return startNode(local, { tls: false, ...options });
}

/** The next event of a type, or the first that `matches`. */
export function nextEvent<Type extends keyof MeshEventMap>(
  mesh: Mesh,
  type: Type,
  matches: (event: MeshEventMap[Type]) => boolean = () => true,
): Promise<MeshEventMap[Type]> {
  const { promise, resolve } = Promise.withResolvers<MeshEventMap[Type]>();
  const listener = (event: MeshEventMap[Type]) => {
    if (!matches(event)) return;
    mesh.removeEventListener(type, listener);
    resolve(event);
  };
  mesh.addEventListener(type, listener);
  return promise;
}

/** Keeps every event of a type. */
export function collect<Type extends keyof MeshEventMap>(
  mesh: Mesh,
  type: Type,
): MeshEventMap[Type][] {
  const events: MeshEventMap[Type][] = [];
  mesh.addEventListener(type, (event: MeshEventMap[Type]) => events.push(event));
  return events;
}

/** Resolves when the node has links to exactly these. */
export async function linkedTo(mesh: Mesh, names: readonly string[]): Promise<void> {
  const expected = [...names].sort().join();
  const isThere = () => mesh.peers.map((peer) => peer.name).sort().join() === expected;
  while (!isThere()) {
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const type of ["peerup", "peerdown"]) {
      mesh.addEventListener(type, () => resolve(), { once: true });
    }
    await promise;
  }
}

/** Resolves when each node has a link to each other. */
export async function fullyLinked(nodes: readonly Mesh[]): Promise<void> {
  await Promise.all(nodes.map((node) => {
    const others = nodes.filter((other) => other !== node);
    return linkedTo(node, others.map((other) => other.name));
  }));
}

/** Messages that a node receives from others, with a way to wait for a number of them. */
export class Inbox {
  readonly messages: Uint8Array[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(mesh: Mesh) {
    mesh.subscribe((message, from) => {
      if (from === mesh.nodeId) return;
      this.messages.push(message.slice());
      this.#arrived.resolve();
    });
  }

  async has(count: number): Promise<Uint8Array[]> {
    while (this.messages.length < count) {
      await this.#arrived.promise;
      this.#arrived = Promise.withResolvers();
    }
    return this.messages;
  }
}

/** The error that a promise rejects with, which must be a `MeshError` of this code. */
export async function assertMeshError(
  code: string,
  promise: Promise<unknown>,
): Promise<MeshError> {
  const error = await promise.then(() => undefined, (error: unknown) => error);
  assert.ok(error instanceof MeshError, `not a MeshError: ${error}`);
  assert.equal(error.code, code);
  return error;
}
