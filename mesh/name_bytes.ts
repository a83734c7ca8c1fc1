/** Bytes that a room's name takes as UTF-8. The name is well-formed. */
export function nameBytes(name: string): number {
  let bytes = name.length;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x80) continue;
    // Each half of a surrogate pair accounts for two of its four bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}
