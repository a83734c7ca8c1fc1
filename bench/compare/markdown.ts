/** Tables and numbers, as they stand in the report. */

import { median, spread } from "./stats.ts";

/** A table; all columns but the first are numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, i) => i === 0 ? "---" : "---:");
  return `${[head, rule, ...rows].map(line).join("\n")}\n`;
}

/** A number with as many digits as mean something. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(0)} k`;
  if (size >= 1e3) return `${(value / 1e3).toFixed(1)} k`;
  if (size >= 100) return value.toFixed(0);
  return size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A median, how far lowest and highest are apart, and how it compares. */
export function compared(values: readonly number[], reference: readonly number[]): string {
  if (values.length === 0) return "–";
  const middle = median(values);
  const ratio = (middle / median(reference)).toFixed(2);
  const apart = values.length > 1 ? ` (${Math.round(spread(values) * 100)} %)` : "";
  return `${short(middle)}${apart} **${ratio}**`;
}

/** Bytes in megabytes. */
export function megabytes(bytes: number): string {
  return short(bytes / 1e6);
}
