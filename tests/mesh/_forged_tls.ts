/**
 * Somebody who shows a certificate that is not theirs: the server's side of a TLS 1.2 handshake
 * (RFC 5246, RFC 8422) as far as the signature that proves who it is. What comes before it travels
 * in clear, so nothing of TLS is needed but this.
 */

import { X509Certificate } from "node:crypto";

const HANDSHAKE = 22;
const SERVER_HELLO = 2;
const CERTIFICATE = 11;
const SERVER_KEY_EXCHANGE = 12;
const SERVER_HELLO_DONE = 14;

const TLS_1_2 = [3, 3];
const ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = [0xc0, 0x2b];
const ECDSA_SECP256R1_SHA256 = [4, 3];
const NAMED_CURVE_SECP256R1 = [3, 0, 23];

/** Bytes of a record's head, and in the hello: of its own head and version, before the random. */
const RECORD_HEAD_BYTES = 5;
const HELLO_HEAD_BYTES = 6;
const RANDOM_BYTES = 32;

/** What the client does about the signature: it closes, or goes on with the handshake. */
export type Reaction = "refused" | "went on";

/** Takes one connection, showing `cert` with a signature made by `signingKey`. */
export async function serveForged(
  listener: Deno.TcpListener,
  cert: string,
  signingKey: CryptoKey,
): Promise<Reaction> {
  using connection = await listener.accept();
  const hello = await readRecord(connection);
  const clientRandom = hello.slice(HELLO_HEAD_BYTES, HELLO_HEAD_BYTES + RANDOM_BYTES);
  const serverRandom = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES));

  const { publicKey } = await crypto.subtle.generateKey(
    { name: "ECDH", namedCurve: "P-256" },
    false,
    ["deriveBits"],
  );
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
  const params = Uint8Array.of(...NAMED_CURVE_SECP256R1, point.length, ...point);
  const signature = await sign(
    signingKey,
    Uint8Array.of(...clientRandom, ...serverRandom, ...params),
  );
  const der = new Uint8Array(new X509Certificate(cert).raw);

  // With TLS 1.2's extended_master_secret empty, and no other extension.
  const extensions = [0, 4, 0, 23, 0, 0];
  await connection.write(record(
    message(
      SERVER_HELLO,
      [
        ...TLS_1_2,
        ...serverRandom,
        0,
        ...ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        0,
        ...extensions,
      ],
    ),
    message(CERTIFICATE, [...u24(der.length + 3), ...u24(der.length), ...der]),
    message(SERVER_KEY_EXCHANGE, [
      ...params,
      ...ECDSA_SECP256R1_SHA256,
      signature.length >> 8,
      signature.length & 0xff,
      ...signature,
    ]),
    message(SERVER_HELLO_DONE, []),
  ));
  // An alert, or nothing at all, or the client's part of the key exchange.
  const answer = new Uint8Array(1);
  const size = await connection.read(answer).catch(() => null);
  return size !== null && answer[0] === HANDSHAKE ? "went on" : "refused";
}

async function readRecord(connection: Deno.TcpConn): Promise<Uint8Array> {
  const readFull = async (size: number) => {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const read = await connection.read(bytes.subarray(at));
      if (read === null) throw new Error("the client has closed the connection");
      at += read;
    }
    return bytes;
  };
  const head = await readFull(RECORD_HEAD_BYTES);
  return await readFull(head[3] << 8 | head[4]);
}

async function sign(key: CryptoKey, bytes: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const raw = new Uint8Array(await crypto.subtle.sign(algorithm, key, bytes as BufferSource));
  const integer = (part: Uint8Array) => {
    const digits = [...part.subarray(part.findIndex((byte) => byte !== 0))];
    const positive = digits[0] & 0x80 ? [0, ...digits] : digits;
    return [2, positive.length, ...positive];
  };
  const body = [...integer(raw.subarray(0, 32)), ...integer(raw.subarray(32))];
  return Uint8Array.of(0x30, body.length, ...body);
}

function record(...messages: Uint8Array[]): Uint8Array {
  const body = messages.flatMap((bytes) => [...bytes]);
  return Uint8Array.of(HANDSHAKE, ...TLS_1_2, body.length >> 8, body.length & 0xff, ...body);
}

function message(type: number, body: number[]): Uint8Array {
  return Uint8Array.of(type, ...u24(body.length), ...body);
}

function u24(value: number): number[] {
  return [value >> 16, value >> 8 & 0xff, value & 0xff];
}
