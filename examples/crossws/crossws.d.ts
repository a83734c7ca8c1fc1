/**
 * The part of crossws's types that this example uses. Its own types load those of Node.js, which
 * conflict with Deno's.
 */

import type { SyncAdapter } from "crossws/sync";

interface Peer {
  subscribe(topic: string): void;
  publish(topic: string, data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

interface Message {
  readonly rawData: unknown;
  uint8Array(): Uint8Array;
}

interface Options {
  sync?: SyncAdapter;
  hooks?: {
    upgrade?(request: Request): Response | undefined;
    open?(peer: Peer): void;
    message?(peer: Peer, message: Message): void;
  };
}

interface Adapter {
  handleUpgrade(request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>): Promise<Response>;
  close(code?: number, reason?: string): Promise<void>;
}

export default function crossws(options: Options): Adapter;
