/** Shows names. */

/** The first part of a node's name: chat-1 of chat-1@10.0.0.5:9000. */
export function shortName(node) {
  return node.split("@")[0];
}

/** Initials: one or two letters. */
export function initials(name) {
  const words = name.trim().split(/\s+/);
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return chosen.map((word) => String.fromCodePoint(word.codePointAt(0) ?? 63)).join("")
    .toUpperCase();
}

/** A person's hue in degrees. It is computed from the name, so it is the same in every browser. */
export function hue(name) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const unit of name) hash = Math.imul(hash ^ unit.codePointAt(0), 0x01000193) >>> 0;
  return hash % 360;
}

/** An avatar: initials on a background of that hue. */
export function paintAvatar(avatar, name) {
  avatar.textContent = initials(name);
  avatar.style.setProperty("--hue", hue(name));
}
