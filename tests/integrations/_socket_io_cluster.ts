/** Three Socket.IO servers over three nodes of the mesh, and stock clients. */

import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
// @ts-types="../../examples/socket_io/socket_io.d.ts"
import { Server } from "socket.io";
import { io as connect, type Socket as Client } from "socket.io-client";
import { meshAdapter } from "../../examples/socket_io/mesh_adapter.ts";
import type { Mesh } from "../../mod.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { linkedTo, startNode } from "../mesh/_cluster.ts";

const SERVERS = 3;

/** A client, and what it has heard. */
export class Guest {
  readonly client: Client;
  /** Each event with its arguments, without acknowledgements. */
  readonly heard: unknown[][] = [];
  #changed = Promise.withResolvers<void>();

  constructor(client: Client) {
    this.client = client;
    client.onAny((...event) => {
      this.heard.push(event.filter((part) => typeof part !== "function"));
      this.#changed.resolve();
    });
    client.on("disconnect", () => {
      this.heard.push(["disconnect"]);
      this.#changed.resolve();
    });
  }

  get id(): string {
    return this.client.id ?? "";
  }

  /** Resolves when it has heard an event. */
  async hears(event: string): Promise<void> {
    while (!this.heard.some(([name]) => name === event)) {
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
  }

  /** Ends it, and resolves when its connection is closed. */
  async end(): Promise<void> {
    const { ws } = this.client.io.engine?.transport as { ws?: WebSocket } ?? {};
    const closed = new Promise((resolve) => ws?.addEventListener("close", resolve));
    this.client.close();
    if (ws && ws.readyState !== WebSocket.CLOSED) await closed;
  }

  /** Resolves when its socket has ended, whoever ended it. */
  async isGone(): Promise<void> {
    while (this.client.connected) {
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
  }
}

/** One server of the cluster. */
export interface IoServer {
  readonly mesh: Mesh;
  readonly http: HttpServer;
  readonly io: Server;
}

/** The whole, with one guest on each server. */
export class IoCluster implements AsyncDisposable {
  readonly servers: IoServer[] = [];
  readonly guests: Guest[] = [];

  /** Starts it. Guests sign in to `namespace`, and their `auth` is the number of their server. */
  static async start(namespace = "/"): Promise<IoCluster> {
    const cluster = new IoCluster();
    try {
      for (let i = 0; i < SERVERS; i++) await cluster.#startServer(namespace);
      const names = cluster.servers.map(({ mesh }) => mesh.name);
      for (const { mesh } of cluster.servers) {
        await within("a full mesh", linkedTo(mesh, names.filter((name) => name !== mesh.name)));
      }
      for (let i = 0; i < SERVERS; i++) cluster.guests.push(await cluster.connect(i, namespace));
      await cluster.settled(namespace);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** A client of one of the servers. */
  connect(server: number, namespace = "/"): Promise<Guest> {
    const { port } = this.servers[server].http.address() as AddressInfo;
    return this.connectTo(port, namespace, { number: server });
  }

  /** A client of the server at a port. */
  async connectTo(port: number, namespace = "/", auth: { number?: number } = {}): Promise<Guest> {
    const client = connect(`http://127.0.0.1:${port}${namespace}`, {
      auth,
      forceNew: true,
      reconnection: false,
      transports: ["websocket"],
    });
    const guest = new Guest(client);
    const connected = new Promise<void>((resolve) => client.on("connect", resolve));
    await within("a client being connected", connected);
    return guest;
  }

  /** Resolves when each server has heard what every other has said until now. */
  async settled(namespace = "/"): Promise<void> {
    for (const { io } of this.servers) await io.of(namespace).serverSideEmitWithAck("settled?");
  }

  /**
   * Resolves when all guests have heard what any server has said until now, and returns what each has
   * heard of an event.
   */
  async heard(event: string, namespace = "/"): Promise<unknown[][]> {
    await this.settled(namespace);
    const connected = this.guests.filter(({ client }) => client.connected);
    for (const { io } of this.servers) io.of(namespace).local.emit("end");
    for (const guest of connected) await within("a guest hearing the end", guest.hears("end"));
    return this.guests.map(({ heard }) => {
      return heard.filter(([name]) => name === event).map(([, ...args]) => args);
    });
  }

  /** A node of the mesh goes without a word from Socket.IO. */
  async cutOff(server: number): Promise<void> {
    await this.servers[server].mesh.shutdown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ends = this.guests.map((guest) => guest.end());
    for (const { io, mesh } of this.servers) {
      await io.close();
      await mesh.shutdown();
    }
    await within("all clients being closed", Promise.all(ends));
  }

  async #startServer(namespace: string): Promise<void> {
    const number = this.servers.length;
    const seeds = this.servers.map(({ mesh }) => mesh.name);
    const mesh = await startNode(`io-${number}`, { seeds, interest: "room" });
    const http = createServer();
    const io = new Server(http, { adapter: meshAdapter(mesh) });
    io.of(namespace).on("settled?", (answer) => {
      if (typeof answer === "function") answer(number);
    });
    io.of(namespace).on("connection", (socket) => {
      socket.data.number = number;
      socket.on("relay", (room) => {
        if (typeof room === "string") socket.to(room).emit("said", "to");
        else socket.broadcast.emit("said", "broadcast");
      });
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    this.servers.push({ mesh, http, io });
  }
}
