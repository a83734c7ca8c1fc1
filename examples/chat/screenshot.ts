/**
 * Makes docs/chat.png: a conversation across three nodes, on a desktop and on a phone.
 *
 * ```sh
 * deno run -A examples/chat/screenshot.ts [picture.png]
 * ```
 *
 * @module
 */

import type { Browser, Page } from "playwright-core";
import { launchChromium } from "./chromium.ts";
import { planCluster } from "./cluster_plan.ts";
import { NodeProcess } from "./node_process.ts";

const DESKTOP = { width: 850, height: 730 };
const PHONE = { width: 340, height: 690 };

const picture = Deno.args[0] ?? new URL("../../docs/chat.png", import.meta.url);

const plan = planCluster(3);
const nodes = plan.nodes.map((node) => new NodeProcess(node, plan));
const browser = await launchChromium();
try {
  await Promise.all(nodes.map((node) => node.ready(2)));
  const ada = await visit(browser, 0, "Ada", { viewport: DESKTOP, colorScheme: "light" });
  const mateo = await visit(browser, 1, "Mateo", { viewport: PHONE, colorScheme: "dark" });
  const noor = await visit(browser, 2, "Noor Haddad", { viewport: PHONE });
  for (const room of ["garden", "kitchen", "lobby"]) await enterRoom(ada, room);
  await enterRoom(mateo, "garden");
  await enterRoom(mateo, "lobby");
  await enterRoom(noor, "kitchen");
  await enterRoom(noor, "lobby");
  const everyone = [ada, mateo, noor];

  await say(ada, "Has anyone looked at the new greenhouse plans?", everyone);
  await say(mateo, "Just did. I like the second one, it keeps the old pear tree", everyone);
  await say(noor, "Same here. But where do the rain barrels go?", everyone);
  await say(noor, "They were next to the door, and the door has moved.", everyone);
  await say(ada, "Good catch. North wall, next to the compost?", everyone);
  await enterRoom(noor, "kitchen");
  await say(noor, "Soup is on at one.", [noor]);
  await enterRoom(noor, "lobby");
  await say(mateo, "Works for me: it is in the shade, and the hose reaches.", everyone);
  await say(noor, "Then I'll draw it in and bring it along on Saturday.", everyone);

  await ada.getByRole("textbox", { name: "Message" }).fill("Wonderful. I'll bring the cake");
  await compose(browser, await ada.screenshot(), await mateo.screenshot(), picture);
} finally {
  await browser.close();
  await Promise.all(nodes.map((node) => node.stop()));
}

async function visit(
  browser: Browser,
  index: number,
  name: string,
  options: Parameters<Browser["newPage"]>[0],
): Promise<Page> {
  const page = await browser.newPage({ locale: "en-GB", ...options });
  await page.goto(plan.nodes[index].url);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Enter" }).click();
  return page;
}

async function enterRoom(page: Page, room: string): Promise<void> {
  await page.getByLabel("Join another room").fill(room);
  await page.getByLabel("Join another room").press("Enter");
}

/** Sends a message, and waits until all pages show it. */
async function say(page: Page, text: string, pages: readonly Page[]): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.getByRole("textbox", { name: "Message" }).press("Enter");
  await Promise.all(
    pages.map((page) => page.locator(".message:not(.pending)").getByText(text).waitFor()),
  );
}

/** Puts the two pictures side by side, on a transparent background. */
async function compose(
  browser: Browser,
  desktop: Uint8Array,
  phone: Uint8Array,
  path: string | URL,
): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.setContent(`<style>
    body { display: flex; align-items: center; justify-content: space-between; margin: 30px;
      height: 740px }
    img { border-radius: 14px; box-shadow: 0 0 0 1px #8883, 0 8px 24px #0003 }
    img + img { border-radius: 28px }
  </style><img src="${dataUrl(desktop)}"><img src="${dataUrl(phone)}">`);
  await page.locator("img").last().waitFor();
  await Deno.writeFile(path, await page.screenshot({ omitBackground: true }));
}

function dataUrl(png: Uint8Array): string {
  return `data:image/png;base64,${png.toBase64()}`;
}
