import type { Address, Connection } from "../../mesh/mod.ts";

const PEER_ADDRESS: Address = { hostname: "10.0.0.9", port: 1 };

/** A connection whose other end says what it was going to say, whatever it hears. */
export class ScriptedConnection implements Connection {
  readonly remoteAddress = PEER_ADDRESS;
  readonly binding?: Uint8Array;
  /** What was written to it, write by write. */
  readonly written: Uint8Array[] = [];
  /** Bytes of the script that have been read. */
  at = 0;
  /** The largest read that was asked for. */
  largestRead = 0;
  readonly #script: Uint8Array;
  readonly #chunkBytes: number;
  readonly #isBroken: boolean;

  /** At the end of the script the stream ends or, if `isBroken`, fails. */
  constructor(
    script: Uint8Array,
    options: { binding?: Uint8Array; chunkBytes: number; isBroken: boolean },
  ) {
    this.#script = script;
    this.binding = options.binding;
    this.#chunkBytes = options.chunkBytes;
    this.#isBroken = options.isBroken;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    this.largestRead = Math.max(this.largestRead, buffer.length);
    const rest = this.#script.subarray(this.at);
    if (rest.length === 0 && buffer.length > 0) {
      if (!this.#isBroken) return Promise.resolve(null);
      // As TCP has it.
      return Promise.reject(Object.assign(new Error("reset by peer"), { code: "ECONNRESET" }));
    }
    const chunk = rest.subarray(0, Math.min(buffer.length, this.#chunkBytes));
    buffer.set(chunk);
    this.at += chunk.length;
    return Promise.resolve(chunk.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    const piece = bytes.slice(0, this.#chunkBytes);
    this.written.push(piece);
    return Promise.resolve(piece.length);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}
