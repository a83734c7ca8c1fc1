/**
 * Every example of a server against one hostile client: those of README and docs, of the library's
 * JSDoc and of `examples/`, each started as it stands. After each attack the server must still let
 * clients in, and they must still hear each other.
 */

import { assert, assertEquals } from "@std/assert";
import { RawClient } from "../websocket/_raw_client.ts";
import { ExampleProcess } from "./_example_process.ts";
import { type ExampleServer, findExampleServers } from "./_example_servers.ts";
import { attacks, type Target } from "./_hostile_client.ts";
import { visit, visitChat } from "./_visitor.ts";

/** Fewer examples than there are: the search for them is broken, or examples have gone. */
const FEWEST_EXAMPLES = 14;

/** Places that must have an example of a server. */
const PLACES = [
  /^README\.md:/,
  /^docs\/recipes\.md:/,
  /^mod\.ts:/,
  /^rooms\/mod\.ts:/,
  /^rooms\/rooms\.ts:/,
  /^websocket\/mod\.ts:/,
  /^websocket\/accept\.ts:/,
  /^examples\/chat\/server\.ts$/,
  /^examples\/crossws\/server\.ts$/,
  /^examples\/express\/server\.ts$/,
  /^examples\/hono\/server\.ts$/,
  /^examples\/parallel\/server\.ts$/,
  /^examples\/socket_io\/server\.ts$/,
  /^examples\/yjs\/server\.ts$/,
];

const examples = await findExampleServers();

Deno.test("the search finds the example servers all over the tree", () => {
  const labels = examples.map(({ label }) => label);
  assert(labels.length >= FEWEST_EXAMPLES, `only ${labels.length} examples: ${labels.join(", ")}`);
  for (const place of PLACES) assert(labels.some((label) => place.test(label)), String(place));
  const rooms = examples.filter(({ purpose }) => purpose === "rooms");
  assert(rooms.length >= 8, `only ${rooms.length} examples with rooms`);
});

for (const example of examples) {
  Deno.test(`the server of ${example.label} survives a hostile client`, async () => {
    await attackExample(example);
  });
}

async function attackExample(example: ExampleServer): Promise<void> {
  await using server = await ExampleProcess.start(example);
  const isChat = example.label.startsWith("examples/chat/");
  const target: Target = { port: server.port, path: example.path };
  const check = async (text: string) => {
    if (isChat) await visitChat(target, text);
    else await visit(target, example.purpose, text);
  };
  await check("before");
  // The word may be written in any case (RFC 6455, section 4.2.1).
  const headers = { Upgrade: "WebSocket", Connection: "keep-alive, upgrade" };
  (await RawClient.open(target.port, { path: target.path, headers })).reset();
  let number = 0;
  for (const { name, run } of attacks()) {
    try {
      await run(target);
      assertEquals(server.ended, false, "the process has ended");
      await check(`after attack ${++number}`);
    } catch (cause) {
      const said = server.said.slice(-20).join("\n");
      throw new Error(`${example.label} does not survive ${name}. It has said:\n${said}`, {
        cause,
      });
    }
  }
}
