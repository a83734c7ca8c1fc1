/** Two lower-case hexadecimal digits for each byte. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes of an even number of hexadecimal digits. */
export function fromHex(hex: string): Uint8Array {
  const byte = (at: number) => parseInt(hex.slice(2 * at, 2 * at + 2), 16);
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => byte(i));
}
