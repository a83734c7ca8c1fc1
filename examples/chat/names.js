/** How names are shown. */

/** The part of a node's name that tells it from the others: chat-1 of chat-1@10.0.0.5:9000. */
export function shortName(node) {
  return node.split("@")[0];
}

/** One or two letters that stand for somebody. */
export function initials(name) {
  const words = name.trim().split(/\s+/);
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return chosen.map((word) => String.fromCodePoint(word.codePointAt(0) ?? 63)).join("")
    .toUpperCase();
}

/** A colour for somebody, as an angle: the same in every browser, since it comes from the name. */
export function hue(name) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const unit of name) hash = Math.imul(hash ^ unit.codePointAt(0), 0x01000193) >>> 0;
  return hash % 360;
}

/** An avatar: initials on that colour. */
export function paintAvatar(avatar, name) {
  avatar.textContent = initials(name);
  avatar.style.setProperty("--hue", hue(name));
}
