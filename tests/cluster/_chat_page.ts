/** The page of the example chat, in Chromium, as people use it. */

import { assertEquals } from "@std/assert";
import type { BrowserContextOptions, Page } from "playwright-core";
import { CHROMIUM_HINT, findChromium, launchChromium } from "../../examples/chat/chromium.ts";
import { ChatCluster, PATIENCE_MS } from "./_chat_cluster.ts";

/** Tests in a browser are skipped where there is none, except where `CI` is `true`: there they fail. */
export const skipped = findChromium() === undefined && Deno.env.get("CI") !== "true";
if (skipped) {
  console.warn(`The chat is not tried in a browser: there is no Chromium. ${CHROMIUM_HINT}`);
}

/** Opens a page in a browser of its own, and enters the lobby. */
export type Visit = (url: string, name: string, options?: BrowserContextOptions) => Promise<Page>;

/** Runs a test with three nodes and a browser, in which nothing must go wrong unseen. */
export async function inBrowser(
  test: (cluster: ChatCluster, visit: Visit) => Promise<void>,
): Promise<void> {
  await using cluster = await ChatCluster.start();
  await using browser = await launchChromium();
  const faults: string[] = [];
  await test(cluster, async (url, name, options) => {
    // A context each: two people do not share a browser.
    const page = await (await browser.newContext(options)).newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) faults.push(message.text());
    });
    await page.goto(url);
    await page.getByLabel("Your name").fill(name);
    await page.getByRole("button", { name: "Enter" }).click();
    return page;
  });
  assertEquals(faults, []);
}

export async function say(page: Page, text: string): Promise<void> {
  const box = page.getByRole("textbox", { name: "Message" });
  await box.fill(text);
  await box.press("Enter");
}

export async function hears(
  page: Page,
  { text, author, node }: { text: string; author: string; node: string },
): Promise<void> {
  const message = page.locator(".message:not(.pending)")
    .filter({ has: page.getByText(text, { exact: true }) });
  await message.waitFor();
  assertEquals(await message.locator(".author").textContent(), author);
  assertEquals(await message.locator(".badge").textContent(), node);
}

export async function seesNode(page: Page, name: string, state: string): Promise<void> {
  await page.locator(`#nodes [data-node^="${name}@"][data-state="${state}"]`).waitFor();
}
