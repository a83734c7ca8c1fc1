/** The page of the example chat: moving from node to node, small screens, accessibility. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { ChatClient } from "./_chat_client.ts";
import { within } from "./_chat_cluster.ts";
import { hears, inBrowser, say, seesNode, skipped } from "./_chat_page.ts";

const PHONE = { viewport: { width: 320, height: 568 } };

/** Programs for the browser are text: its types are not those of Deno. */
const OVERFLOW = `[document.documentElement, ...document.body.querySelectorAll("*")]
  .filter((element) => element.checkVisibility() && getComputedStyle(element).clipPath === "none")
  .filter((element) => getComputedStyle(element).textOverflow !== "ellipsis")
  .filter(({ clientWidth, scrollWidth }) => clientWidth > 0 && scrollWidth > clientWidth)
  .map(({ outerHTML, clientWidth, scrollWidth }) =>
    scrollWidth + " > " + clientWidth + ": " + outerHTML.slice(0, 100))`;

const VIOLATIONS = `axe.run().then(({ violations }) =>
  violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ": " + html)))`;

/** What does not fit into its place, and would be cut off or scroll sideways. */
async function overflow(page: Page): Promise<string[]> {
  return await page.evaluate(OVERFLOW);
}

/** What axe has against the page. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(VIOLATIONS);
}

Deno.test({
  name: "chat: a page whose node is killed reconnects to another node in under a second",
  ignore: skipped,
  fn: () =>
    inBrowser(async (cluster, visit) => {
      const ada = await visit(cluster.url(0), "Ada");
      await seesNode(ada, "chat-3", "connected");
      const start = performance.now();
      await cluster.nodes[0].kill();
      await ada.getByText("You are back").waitFor();
      const tookMs = performance.now() - start;
      assert(tookMs < 1_000, `it took ${Math.round(tookMs)} ms`);
    }),
});

Deno.test({
  name: "chat: the pages of a node that is stopped move to others, and no message is lost",
  ignore: skipped,
  fn: () =>
    inBrowser(async (cluster, visit) => {
      const ada = await visit(cluster.url(0), "Ada");
      await ada.locator(".log").waitFor();
      const speakers: ChatClient[] = [];
      for (const name of ["Mateo", "Noor", "Kim", "Lee"]) {
        speakers.push(await ChatClient.join(cluster.url(2), name, "lobby"));
      }
      await ada.getByText("Lee joined").waitFor();

      const texts = Array.from({ length: 100 }, (_, i) => `message ${i}.`);
      let stopped: Promise<unknown> | undefined;
      for (const [i, text] of texts.entries()) {
        if (i === 10) stopped = cluster.nodes[0].stop();
        const id = `id-${String(i).padStart(5, "0")}`;
        speakers[i % speakers.length].send({ type: "say", room: "lobby", text, id });
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
      await within("the node stopping", Promise.resolve(stopped));
      await ada.getByText(texts[99], { exact: true }).waitFor();

      // None is lost, and none is shown twice. Between several speakers there is no order.
      const shown = await ada.locator(".message .text").allTextContents();
      assertEquals(shown.toSorted(), texts.toSorted());
      const node = await ada.locator('#nodes [data-state="here"]').getAttribute("data-node");
      assertMatch(node ?? "", /^chat-[23]@/);
      assertEquals(await ada.getByText("You are back").count(), 0);
      // It is one of them, as before.
      await say(ada, "I have moved");
      assertEquals((await speakers[0].next("said")).type, "said");
      for (const speaker of speakers) await speaker[Symbol.asyncDispose]();
    }),
});

Deno.test({
  name: "chat: the page fits a screen 320 px wide, even when a node is away",
  ignore: skipped,
  fn: () =>
    inBrowser(async (cluster, visit) => {
      const page = await visit(cluster.url(0), "A name that is as long as one may be, 40", PHONE);
      await seesNode(page, "chat-3", "connected");
      assertEquals(await overflow(page), []);
      await cluster.nodes[2].kill();
      await seesNode(page, "chat-3", "away");
      await say(page, "a".repeat(300));
      await page.locator(".message:not(.pending)").waitFor();
      assertEquals(await overflow(page), []);
      await page.getByRole("button", { name: "Leave the chat" }).click();
      await page.getByLabel("Your name").waitFor();
      assertEquals(await overflow(page), []);
    }),
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const viewport of [{ width: 850, height: 700 }, PHONE.viewport]) {
    Deno.test({
      name: `chat: axe finds nothing wrong, ${colorScheme}, ${viewport.width} px wide`,
      ignore: skipped,
      fn: () =>
        inBrowser(async (cluster, visit) => {
          const ada = await visit(cluster.url(0), "Ada", { viewport, colorScheme });
          await using mateo = await ChatClient.join(cluster.url(1), "Mateo", "lobby");
          await ada.getByText("Mateo joined").waitFor();
          mateo.send({ type: "say", room: "lobby", text: "hello", id: "12345678" });
          await hears(ada, { text: "hello", author: "Mateo", node: "chat-2" });
          await say(ada, "hello yourself");
          await hears(ada, { text: "hello yourself", author: "Ada", node: "chat-1" });
          await cluster.nodes[2].kill();
          await seesNode(ada, "chat-3", "away");
          assertEquals(await violations(ada), []);

          await ada.getByLabel("Join another room").fill("garden");
          await ada.getByLabel("Join another room").press("Enter");
          mateo.send({ type: "say", room: "lobby", text: "are you there?", id: "12345679" });
          await ada.locator(".count:not([hidden])").waitFor();
          await cluster.nodes[0].kill();
          await cluster.nodes[1].kill();
          await ada.locator("#status").getByText("Reconnecting…").waitFor();
          assertEquals(await violations(ada), []);

          await ada.evaluate(() => sessionStorage.clear());
        }),
    });
  }
}

Deno.test({
  name: "chat: axe finds nothing wrong at the entrance",
  ignore: skipped,
  fn: () =>
    inBrowser(async (cluster, visit) => {
      const page = await visit(cluster.url(0), "Ada");
      await page.getByRole("button", { name: "Leave the chat" }).click();
      await page.getByLabel("Your name").waitFor();
      assertEquals(await violations(page), []);
    }),
});
