/**
 * The part of Socket.IO's types that this example uses. Its own types load those of Node.js, which
 * conflict with Deno's.
 */

import type { Server as HttpServer } from "node:http";

type Names = string | string[];
type Listener = (...args: unknown[]) => unknown;

/** Chooses sockets, on all servers. */
interface Operator<Found> {
  readonly local: Operator<Found>;
  to(rooms: Names): Operator<Found>;
  except(rooms: Names): Operator<Found>;
  timeout(ms: number): Operator<Found>;
  emit(event: string, ...args: unknown[]): boolean;
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown[]>;
  fetchSockets(): Promise<Found[]>;
  socketsJoin(rooms: Names): void;
  socketsLeave(rooms: Names): void;
  disconnectSockets(close?: boolean): void;
}

/** A socket of any server. */
export interface RemoteSocket {
  readonly id: string;
  readonly handshake: { readonly auth: unknown };
  readonly rooms: ReadonlySet<string>;
  readonly data: Record<string, unknown>;
  emit(event: string, ...args: unknown[]): void;
  timeout(ms: number): { emitWithAck(event: string, ...args: unknown[]): Promise<unknown> };
  join(rooms: Names): void | Promise<void>;
  leave(room: string): void | Promise<void>;
  disconnect(close?: boolean): void;
}

/** A socket of this server. */
export interface Socket extends RemoteSocket {
  readonly broadcast: Operator<RemoteSocket>;
  to(rooms: Names): Operator<RemoteSocket>;
  on(event: string, listener: Listener): void;
}

export interface Namespace extends Operator<RemoteSocket> {
  on(event: "connection", listener: (socket: Socket) => void): void;
  on(event: string, listener: Listener): void;
  serverSideEmit(event: string, ...args: unknown[]): boolean;
  serverSideEmitWithAck(event: string, ...args: unknown[]): Promise<unknown[]>;
}

export class Server {
  constructor(server: HttpServer, options?: Record<string, unknown>);
  of(name: string): Namespace;
  close(): Promise<void>;
}
export interface Server extends Namespace {}
