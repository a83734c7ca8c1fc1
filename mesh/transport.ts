/** How bytes reach another node. A test can put a network of its own in place of TCP. */

/** Where a node listens. */
export interface Address {
  /** Host name or IP address, IPv6 without brackets. */
  readonly hostname: string;
  /** TCP port; 0 asks for any free one. */
  readonly port: number;
}

/** Makes connections and takes them in. */
export interface Transport {
  /** Begins to listen. Rejects if it cannot, with `code` `EADDRINUSE` if the port is taken. */
  listen(address: Address): Promise<Listener>;
  /** Connects. Rejects if it cannot, and soon after `signal` is aborted. */
  connect(address: Address, options: { signal: AbortSignal }): Promise<Connection>;
}

/** Takes in connections. */
export interface Listener {
  /** Where it listens, with the port that was picked. */
  readonly address: Address;
  /** The next connection. Rejects when the listener is closed. */
  accept(): Promise<Connection>;
  /** Stops listening; a waiting `accept` rejects. May be called twice. */
  close(): void;
  /** Has it keep the process alive, as it does at first. */
  ref?(): void;
  /** Has it no longer keep the process alive. */
  unref?(): void;
}

/** A stream of bytes both ways. */
export interface Connection {
  /** Who is at the other end, as far as the network knows. */
  readonly remoteAddress: Address;
  /**
   * What the handshake's proofs are bound to: 32 bytes, the same at both ends, that nobody in the
   * middle can bring about. Left out on a plain connection, which has no such thing.
   */
  readonly binding?: Uint8Array;
  /**
   * On a connection that was accepted: resolves when the other side has begun to speak, before
   * anything costly is done for it. Rejects if what it says cannot be right. Left out if speaking
   * costs no more than reading.
   */
  greeted?(): Promise<void>;
  /** Reads up to `buffer.length` bytes and gives their number, or null at the end of the stream. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of `bytes`, at least one, and gives their number. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the stream that way, while the other goes on. */
  closeWrite(): Promise<void>;
  /** Closes both ways at once; what waits rejects, or finds the end. May be called twice. */
  close(): void;
  /** Has it keep the process alive, as it does at first. */
  ref?(): void;
  /** Has it no longer keep the process alive. */
  unref?(): void;
}
