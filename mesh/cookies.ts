import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";

/**
 * Proofs that a node knows a shared cookie, by HMAC-SHA256 (`docs/wire.md`, "Handshake").
 *
 * It uses `node:crypto`, because WebCrypto answers from another thread, and in a simulation only
 * the seed may decide what comes first. A proof takes some microseconds either way.
 */
export class Cookies {
  readonly #keys: readonly KeyObject[];

  /** Makes keys of the cookies' UTF-8 bytes. */
  constructor(cookies: readonly string[]) {
    this.#keys = cookies.map((cookie) => createSecretKey(new TextEncoder().encode(cookie)));
  }

  /** The proof of `bytes` by the cookie at `index`, by default the first. */
  prove(bytes: Uint8Array, index = 0): Uint8Array {
    return new Uint8Array(createHmac("sha256", this.#keys[index]).update(bytes).digest());
  }

  /** The index of a cookie by which `proof` is valid, or -1. Compares in constant time. */
  verify(bytes: Uint8Array, proof: Uint8Array): number {
    return this.#keys.findIndex((_, index) => {
      const expected = this.prove(bytes, index);
      return proof.length === expected.length && timingSafeEqual(proof, expected);
    });
  }
}
