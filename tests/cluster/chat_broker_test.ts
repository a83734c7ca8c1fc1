/** The demo over NATS and over Redis, which it starts itself. Without them it is skipped. */

import { assertEquals } from "@std/assert";
import { isSkipped } from "../brokers/_servers.ts";
import { ChatClient } from "./_chat_client.ts";
import { ChatDemo } from "./_chat_demo.ts";

for (const broker of ["nats", "redis"] as const) {
  Deno.test({
    name: `chat: three nodes talk over ${broker}, and Ctrl-C ends them and the broker`,
    ignore: isSkipped(broker),
    async fn() {
      await using demo = await ChatDemo.start(broker);
      await using ada = await ChatClient.join(demo.urls[0], "Ada", "lobby");
      await using mateo = await ChatClient.join(demo.urls[2], "Mateo", "lobby");
      // What is said before the interest of Mateo's node is in force it does not hear.
      const talking = setInterval(() => {
        ada.send({ type: "say", room: "lobby", text: "hello", id: crypto.randomUUID() });
      }, 250);
      try {
        const { text, name } = await mateo.next("said");
        assertEquals([text, name], ["hello", "Ada"]);
      } finally {
        clearInterval(talking);
      }
      demo.signal("SIGINT");
      assertEquals((await demo.ended()).code, 0);
      await demo.nodesEnd();
    },
  });
}
