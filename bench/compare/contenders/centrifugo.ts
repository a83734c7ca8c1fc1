/**
 * Centrifugo, a server in Go, with Redis as its broker. This program starts it, starts it again if it
 * is killed, and ends it. Its place is in the first argument after the configuration.
 *
 * Clients publish themselves, as they do with the other contenders. Then Centrifugo adds the id of the
 * sender to each message.
 */

import { freePort } from "../../../examples/chat/cluster_plan.ts";
import { config, ready, takeOrders } from "./control.mjs";
import type { NodeConfig } from "./node_config.ts";

const { hostname, brokerPort }: NodeConfig = config;
const [, program] = Deno.args;

const CONNECT_EVERY_MS = 20;
const MANY = 1_000_000;

const folder = await Deno.makeTempDir();
const path = `${folder}/config.json`;
let child: Deno.ChildProcess | undefined;

async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname, port })).close();
    return true;
  } catch {
    return false;
  }
}

async function run(): Promise<void> {
  const port = freePort();
  await Deno.writeTextFile(
    path,
    JSON.stringify({
      engine: { type: "redis", redis: { address: `redis://127.0.0.1:${brokerPort}` } },
      http_server: { address: hostname, port },
      client: { insecure: true, allowed_origins: ["*"], channel_limit: MANY },
      channel: {
        without_namespace: { allow_subscribe_for_client: true, allow_publish_for_client: true },
      },
      log: { level: "error" },
    }),
  );
  child = new Deno.Command(program, { args: ["--config", path], stdout: "null" }).spawn();
  const { pid, status } = child;
  let ended = false;
  status.then(() => ended = true);
  while (!ended && !await isListening(port)) {
    await new Promise((resolve) => setTimeout(resolve, CONNECT_EVERY_MS));
  }
  if (ended) Deno.exit(1);
  ready({ port, pid });
  await status;
}

function stop(): void {
  child?.kill("SIGKILL");
  Deno.removeSync(folder, { recursive: true });
}
globalThis.addEventListener("unload", stop);

takeOrders();
for (;;) await run();
