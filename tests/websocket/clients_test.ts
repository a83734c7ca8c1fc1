import { assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { WebSocket as NpmWebSocket } from "ws";
import { findChromium, launchChromium } from "../../examples/chat/chromium.ts";
import { acceptWebSocket } from "../../websocket/mod.ts";
import { echo, serve } from "./_server.ts";

const TEXTS = ["", "hello", "κόσμε 🎉 \ud800".toWellFormed(), "x".repeat(200_000)];

/** What a client has to have, of the web's `WebSocket` and of npm's `ws`. */
interface Client {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code: number, reason: string): void;
}

/** Has texts and bytes come back, then closes. */
async function converse(client: Client): Promise<void> {
  client.binaryType = "arraybuffer";
  await new Promise<void>((resolve) => client.onopen = () => resolve());
  const say = async (data: string | Uint8Array<ArrayBuffer>) => {
    const answer = new Promise<unknown>((resolve) =>
      client.onmessage = ({ data }) => resolve(data)
    );
    client.send(data);
    return await answer;
  };
  for (const text of TEXTS) {
    assertEquals(await say(text), text);
    const bytes = new TextEncoder().encode(text);
    const answer = await say(bytes);
    if (!(answer instanceof ArrayBuffer)) throw new Error("the answer is not binary");
    assertEquals(new Uint8Array(answer), bytes);
  }
  const closed = new Promise<unknown[]>((resolve) => {
    client.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean]);
  });
  client.close(4001, "enough");
  assertEquals(await closed, [4001, "enough", true]);
}

Deno.test("Deno's WebSocket converses with the endpoint", async () => {
  await serve(
    { onSocket: echo },
    ({ port }) => converse(new WebSocket(`ws://127.0.0.1:${port}`) as unknown as Client),
  );
});

for (const compression of [false, { thresholdBytes: 0 }]) {
  Deno.test(`npm's ws converses with the endpoint, ${compression ? "with" : "without"} compression`, async () => {
    await serve({ onSocket: echo, compression }, async ({ port }) => {
      const client = new NpmWebSocket(`ws://127.0.0.1:${port}`, {
        perMessageDeflate: { threshold: 0 },
      });
      await converse(client as unknown as Client);
      assertEquals(client.extensions, compression ? "permessage-deflate" : "");
    });
  });
}

Deno.test({
  name: "Chromium converses with the endpoint, with compression and a subprotocol",
  ignore: findChromium() === undefined && Deno.env.get("CI") !== "true",
  fn: async () => {
    const options = { onSocket: echo, compression: true, protocols: ["chat"], origins: () => true };
    await serve(options, async ({ port }) => {
      const browser = await launchChromium();
      try {
        const page = await browser.newPage();
        const answers = await page.evaluate(async ({ port, texts }) => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}`, ["other", "chat"]);
          await new Promise((resolve) => socket.onopen = resolve);
          const answers: unknown[] = [socket.protocol, socket.extensions.split(";")[0]];
          for (const text of texts) {
            const answer = new Promise((resolve) => socket.onmessage = ({ data }) => resolve(data));
            socket.send(text);
            answers.push(await answer === text);
          }
          const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
          socket.close(4001, "enough");
          const { code, reason, wasClean } = await closed;
          return [...answers, code, reason, wasClean];
        }, { port, texts: TEXTS });
        const echoed = TEXTS.map(() => true);
        assertEquals(answers, ["chat", "permessage-deflate", ...echoed, 4001, "enough", true]);
      } finally {
        await browser.close();
      }
    });
  },
});

Deno.test("a client converses over node:https too, and a burst of 4 MiB arrives", async () => {
  const folder = new URL("../testdata/tls/", import.meta.url);
  const read = (name: string) => readFileSync(new URL(name, folder));
  const server: Server = createServer({ cert: read("loopback.pem"), key: read("loopback.key") });
  server.on("upgrade", (request, stream, head) => {
    const socket = acceptWebSocket(request, stream, head);
    if (socket === undefined) return;
    echo(socket);
    socket.addEventListener("message", ({ data }) => {
      if (data === "hello") { for (let i = 0; i < 64; i++) socket.send(new Uint8Array(65_536)); }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const client = new NpmWebSocket(`wss://127.0.0.1:${port}`, { rejectUnauthorized: false });
  await new Promise<void>((resolve) => client.onopen = () => resolve());
  let bytes = 0;
  const all = new Promise<void>((resolve) => {
    client.on("message", (data: Uint8Array, isBinary: boolean) => {
      if (isBinary) bytes += data.length;
      if (bytes === 64 * 65_536) resolve();
    });
  });
  client.send("hello");
  await all;
  const closed = new Promise<void>((resolve) => client.onclose = () => resolve());
  client.close();
  await closed;
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
