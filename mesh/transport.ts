/** How bytes reach another node. A test can use its own network instead of TCP. */

/** Where a node listens. */
export interface Address {
  /** Host name or IP address, IPv6 without brackets. */
  readonly hostname: string;
  /** TCP port; 0 asks for any free one. */
  readonly port: number;
}

/** Makes and accepts connections. */
export interface Transport {
  /** Begins to listen. Rejects if it cannot, with `code` `EADDRINUSE` if the port is taken. */
  listen(address: Address): Promise<Listener>;
  /** Connects. Rejects if it cannot, and soon after `signal` is aborted. */
  connect(address: Address, options: { signal: AbortSignal }): Promise<Connection>;
}

/** Accepts connections. */
export interface Listener {
  /** Where it listens, with the port that was picked. */
  readonly address: Address;
  /** Resolves to the next connection. Rejects when the listener is closed. */
  accept(): Promise<Connection>;
  /** Stops listening; a waiting `accept` rejects. May be called twice. */
  close(): void;
  /** Makes it keep the process alive, as it does at first. */
  ref?(): void;
  /** Makes it no longer keep the process alive. */
  unref?(): void;
}

/** A stream of bytes both ways. */
export interface Connection {
  /** The address of the other end, as the network knows it. */
  readonly remoteAddress: Address;
  /**
   * The handshake's proofs are bound to these 32 bytes. They are the same at both ends, and
   * somebody in the middle cannot reproduce them. Left out on a plain connection.
   */
  readonly binding?: Uint8Array;
  /**
   * On an accepted connection: resolves when the other side has begun to speak, before anything
   * costly is done for it. Rejects if its first bytes cannot be right. Left out if that check costs
   * no more than reading.
   */
  greeted?(): Promise<void>;
  /**
   * Reads up to `buffer.length` bytes and returns their number, or null at the end of the stream.
   */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of `bytes`, at least one, and returns their number. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the outgoing direction, while the other goes on. */
  closeWrite(): Promise<void>;
  /** Closes both directions at once. Pending calls reject, or find the end. May be called twice. */
  close(): void;
  /** Makes it keep the process alive, as it does at first. */
  ref?(): void;
  /** Makes it no longer keep the process alive. */
  unref?(): void;
}
