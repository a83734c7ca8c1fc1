/**
 * A certificate that a node makes for itself when it starts: X.509 v3 (RFC 5280), self-signed,
 * ECDSA with SHA-256 on P-256. Nodes that dial it do not verify the certificate. It gives the
 * channel a key, and the handshake something to be bound to (`docs/wire.md`, "Handshake").
 *
 * ```text
 * Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature BIT STRING }
 * TBSCertificate ::= SEQUENCE {
 *   version [0] v3, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo,
 *   extensions [3] { subjectAltName } }
 * ```
 */

import type { RandomBytes } from "../backplane/clock.ts";

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
/** GeneralName's dNSName: context-specific, primitive, number 2. */
const DNS_NAME = 0x82;
/** Context-specific, constructed: the explicit tags of `version` and `extensions`. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;

/** Counted from zero. */
const VERSION_3 = der(VERSION, der(INTEGER, Uint8Array.of(2)));

/** 1.2.840.10045.4.3.2 */
const ECDSA_WITH_SHA256 = der(
  SEQUENCE,
  der(OBJECT_IDENTIFIER, Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)),
);
/** 2.5.4.3 */
const COMMON_NAME = der(OBJECT_IDENTIFIER, Uint8Array.of(0x55, 0x04, 0x03));
/** 2.5.29.17 */
const SUBJECT_ALT_NAME = der(OBJECT_IDENTIFIER, Uint8Array.of(0x55, 0x1d, 0x11));

/** The same for all nodes, so that a certificate tells strangers nothing. */
const NAME = ascii("roomcast");
const DISTINGUISHED_NAME = der(
  SEQUENCE,
  der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, NAME))),
);

/**
 * It needs no clock. RFC 5280, section 4.1.2.5, gives this end for certificates that do not expire.
 */
const VALIDITY = der(
  SEQUENCE,
  der(UTC_TIME, ascii("000101000000Z")),
  der(GENERALIZED_TIME, ascii("99991231235959Z")),
);

const SERIAL_BYTES = 16;

/** Makes a new key and a certificate for it, both PEM. */
export async function makeCertificate(
  randomBytes: RandomBytes,
): Promise<{ cert: string; key: string }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const { publicKey, privateKey } = await crypto.subtle.generateKey(algorithm, true, [
    "sign",
    "verify",
  ]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  const body = tbsCertificate(randomBytes(SERIAL_BYTES), spki);
  const signing = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(signing, privateKey, body as BufferSource);
  const certificate = der(
    SEQUENCE,
    body,
    ECDSA_WITH_SHA256,
    bitString(ecdsaSignature(new Uint8Array(signature))),
  );
  return { cert: pem("CERTIFICATE", certificate), key: pem("PRIVATE KEY", pkcs8) };
}

/**
 * True for X.509 version 3, by the first bytes of its DER. If the certificate is of another
 * version, Deno (2.9) does not check the signature by which the peer proves that it has the key.
 */
export function isVersion3(certificate: Uint8Array): boolean {
  // Certificate and TBSCertificate are sequences: a tag, then a length in short or long form.
  let at = 0;
  for (let depth = 0; depth < 2; depth++) {
    const length = certificate[at + 1];
    at += 2 + (length < 0x80 ? 0 : length & 0x7f);
  }
  return VERSION_3.every((byte, i) => certificate[at + i] === byte);
}

function tbsCertificate(serial: Uint8Array, spki: Uint8Array): Uint8Array {
  // Positive and without a leading zero, as DER requires.
  serial[0] = serial[0] & 0x3f | 0x40;
  const names = der(SEQUENCE, der(DNS_NAME, NAME));
  return der(
    SEQUENCE,
    VERSION_3,
    der(INTEGER, serial),
    ECDSA_WITH_SHA256,
    DISTINGUISHED_NAME,
    VALIDITY,
    DISTINGUISHED_NAME,
    spki,
    der(EXTENSIONS, der(SEQUENCE, der(SEQUENCE, SUBJECT_ALT_NAME, der(OCTET_STRING, names)))),
  );
}

/**
 * WebCrypto returns r and s side by side. X.509 needs them as two integers (RFC 3279, section
 * 2.2.3).
 */
function ecdsaSignature(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2;
  return der(SEQUENCE, integer(signature.subarray(0, half)), integer(signature.subarray(half)));
}

/** A positive integer of big-endian bytes, as short as DER requires. */
function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const sign = bytes[start] & 0x80 ? [0] : [];
  return der(INTEGER, Uint8Array.of(...sign, ...bytes.subarray(start)));
}

function bitString(bytes: Uint8Array): Uint8Array {
  return der(BIT_STRING, Uint8Array.of(0), bytes);
}

/** Tag, length, contents (X.690). */
function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [tag, ...lengthOctets(size)];
  const bytes = new Uint8Array(head.length + size);
  bytes.set(head);
  let at = head.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Nothing here comes near 64 KiB. */
function lengthOctets(size: number): number[] {
  if (size < 0x80) return [size];
  return size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = btoa(String.fromCharCode(...bytes)).replaceAll(/.{64}(?=.)/g, "$&\n");
  return [`-----BEGIN ${label}-----`, lines, `-----END ${label}-----`, ""].join("\n");
}
