/** Runs the page in a real browser: the Chromium of this machine. */

import { type Browser, chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** What to do if there is none. */
export const CHROMIUM_HINT = `Install Chromium so that one of ${NAMES.join(", ")} is on the PATH ` +
  `(on Debian: apt-get install chromium).`;

/** Where Chromium is, if it is on the PATH. */
export function findChromium(): string | undefined {
  const folders = Deno.env.get("PATH")?.split(":") ?? [];
  for (const name of NAMES) {
    for (const folder of folders) {
      const path = `${folder}/${name}`;
      try {
        if (Deno.statSync(path).isFile) return path;
      } catch {
        // Not there.
      }
    }
  }
  return undefined;
}

/** Starts Chromium without a window. It must not call home. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(`There is no Chromium. ${CHROMIUM_HINT}`);
  return await chromium.launch({
    executablePath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
