/** SIGTERM: every example of README, docs and `examples/` closes its sockets and ends. */

import { assertEquals } from "@std/assert";
import { within } from "./_chat_cluster.ts";
import { ExampleProcess } from "./_example_process.ts";
import { findExampleServers } from "./_example_servers.ts";

const examples = (await findExampleServers()).filter(({ label }) => {
  return /^(README\.md|docs\/|examples\/)/.test(label);
});

for (const example of examples) {
  const how = example.runner === "run" ? "" : ", run by deno serve,";
  Deno.test(`the server of ${example.label}${how} ends on SIGTERM`, async () => {
    assertEquals(example.handlesSigterm, true);
    await using server = await ExampleProcess.start(example);
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${example.path}`);
    const { promise: open, resolve: opened } = Promise.withResolvers<Event>();
    const { promise: closed, resolve: onClose } = Promise.withResolvers<CloseEvent>();
    socket.onopen = opened;
    socket.onclose = onClose;
    await within("a WebSocket opening", open);
    const { success, code } = await server.stop();
    assertEquals({ success, code }, { success: true, code: 0 }, server.said.join("\n"));
    assertEquals((await closed).code, example.closeCode);
  });
}
