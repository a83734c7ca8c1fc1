/** Proofs that a node knows a shared cookie, by HMAC-SHA256 (WIRE.md, Handshake). */
export class Cookies {
  readonly #keys: readonly CryptoKey[];

  private constructor(keys: readonly CryptoKey[]) {
    this.#keys = keys;
  }

  /** Makes keys of the cookies' UTF-8 bytes. */
  static async import(cookies: readonly string[]): Promise<Cookies> {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const keys = cookies.map((cookie) =>
      crypto.subtle.importKey("raw", new TextEncoder().encode(cookie), algorithm, false, [
        "sign",
        "verify",
      ])
    );
    return new Cookies(await Promise.all(keys));
  }

  /** The proof of `bytes` by the cookie at `index`; the first unless told otherwise. */
  async prove(bytes: Uint8Array, index = 0): Promise<Uint8Array> {
    const proof = await crypto.subtle.sign("HMAC", this.#keys[index], bytes as BufferSource);
    return new Uint8Array(proof);
  }

  /** The index of a cookie by which `proof` is valid, or -1. Compares in constant time. */
  async verify(bytes: Uint8Array, proof: Uint8Array): Promise<number> {
    for (const [index, key] of this.#keys.entries()) {
      if (await crypto.subtle.verify("HMAC", key, proof as BufferSource, bytes as BufferSource)) {
        return index;
      }
    }
    return -1;
  }
}
