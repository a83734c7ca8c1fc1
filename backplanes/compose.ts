/**
 * Several backplanes as one.
 *
 * @module
 */

import { FrameError, SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import type { Backplane, PublishReport } from "../rooms/mod.ts";

/**
 * Makes one backplane of several: what is published goes to each of them, and what comes over any
 * of them is received. Nothing is handed from one to another.
 *
 * So each must reach **other nodes**: a node that two of them reach hears everything twice. The
 * workers of one process are such nodes for one backplane, and other machines for another; see
 * `gatewayBackplane`.
 *
 * Reports are added up, and the smallest `maxMessageBytes` holds for all. Each of the composed is
 * still yours to shut down.
 *
 * @throws {TypeError} if none is given.
 *
 * @example
 * ```ts
 * import { Rooms, startMesh } from "@roomcast/roomcast";
 * import { broadcastChannelBackplane } from "@roomcast/roomcast/backplanes/broadcast-channel";
 * import { compose } from "@roomcast/roomcast/backplanes/compose";
 * import { gatewayBackplane } from "@roomcast/roomcast/backplanes/gateway";
 *
 * const cluster = "chat";
 * const cookie = "a secret of at least 16 bytes";
 * await using workers = broadcastChannelBackplane({ cluster });
 * await using machines = gatewayBackplane({
 *   cluster,
 *   connect: () => startMesh({ name: "chat-1@127.0.0.1:0", cookie }),
 * });
 * const rooms = new Rooms({ backplane: compose(workers, machines) });
 * ```
 */
export function compose(...backplanes: readonly Backplane[]): Backplane {
  if (backplanes.length === 0) throw new TypeError("compose needs a backplane, got none");
  return new Composed(backplanes);
}

class Composed implements Backplane {
  readonly #backplanes: readonly Backplane[];
  readonly openRoom: ((room: string) => void) | undefined;
  readonly closeRoom: ((room: string) => void) | undefined;

  constructor(backplanes: readonly Backplane[]) {
    this.#backplanes = backplanes;
    if (!backplanes.some(({ openRoom, closeRoom }) => openRoom ?? closeRoom)) return;
    this.openRoom = (room) => this.#backplanes.forEach((each) => each.openRoom?.(room));
    this.closeRoom = (room) => this.#backplanes.forEach((each) => each.closeRoom?.(room));
  }

  get maxMessageBytes(): number {
    const limits = this.#backplanes.map((each) => each.maxMessageBytes ?? SESSION_MAX_FRAME_BYTES);
    return Math.min(...limits);
  }

  publish(message: Uint8Array): PublishReport {
    // Before any of them has taken it: they may have different limits.
    const { maxMessageBytes } = this;
    if (message.length > maxMessageBytes) {
      throw new FrameError(
        "message-too-long",
        maxMessageBytes,
        `message has ${message.length} bytes, the composed backplanes carry ${maxMessageBytes}`,
      );
    }
    let peers = 0;
    let dropped = 0;
    for (const each of this.#backplanes) {
      const report = each.publish(message);
      peers += report.peers;
      dropped += report.dropped;
    }
    return { peers, dropped };
  }

  subscribe(receive: (message: Uint8Array) => void): void {
    for (const each of this.#backplanes) each.subscribe(receive);
  }
}
