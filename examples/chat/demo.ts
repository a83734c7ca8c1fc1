/**
 * The chat on three nodes: three processes on this machine that find each other and form one chat.
 * With `--backplane nats` or `--backplane redis`, the demo also starts that broker, which must be
 * installed, and the nodes talk through it.
 *
 * Ctrl-C stops the nodes. If one ends or is killed, the others go on. With `--restart`, the demo starts
 * it again after five seconds.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type ClusterPlan, planCluster } from "./cluster_plan.ts";
import { Broker, brokerHint, type BrokerName, findBroker } from "./broker.ts";
import { NodeProcess } from "./node_process.ts";

const RESTART_DELAY_MS = 5_000;
const COLORS = [36, 35, 33]; // cyan, magenta, yellow
const colored = Deno.stdout.isTerminal() && !Deno.noColor;

const { restart, brokerName } = parseFlags();
let broker: Broker | undefined;
let plan: ClusterPlan = planCluster(COLORS.length, { friendly: true });
const running = new Map<string, NodeProcess>();
const stopped = Promise.withResolvers<void>();
let started = false;
let stopping = false;
let exitCode = 0;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  if (signal === "SIGINT" || Deno.build.os !== "windows") {
    Deno.addSignalListener(signal, () => stop());
  }
}
await start();
await stopped.promise;
Deno.exit(exitCode);

async function start(): Promise<void> {
  let nodes: NodeProcess[] = [];
  try {
    if (brokerName !== undefined) {
      broker = await Broker.start(brokerName);
      plan = { ...plan, backplane: `${brokerName}://127.0.0.1:${broker.port}` };
      console.log(`Started ${broker.program} on port ${broker.port}.`);
    }
    if (stopping) return await broker?.stop();
    console.log("Starting three nodes…\n");
    nodes = plan.nodes.map((_, index) => startNode(index));
    await Promise.all(nodes.map((node) => node.ready(broker ? 1 : nodes.length - 1)));
  } catch (error) {
    if (!stopping) {
      console.error(
        `\nThe demo could not start: ${error instanceof Error ? error.message : error}.`,
      );
      exitCode = 1;
    }
    return stop();
  }
  started = true;
  console.log(
    `\nThe chat is up, on three nodes that are connected to ${broker?.program ?? "each other"}:\n`,
  );
  for (const { plan, pid } of nodes) {
    console.log(`  ${shortName(plan.name)}  ${paint(4, plan.url)}  (process ${pid})`);
  }
  console.log(`
Open two of these pages side by side, choose a name in each, and talk. Then stop one of the nodes.
On \`kill\`, it first moves its pages to the other nodes, so they miss nothing. After \`kill -9\`,
its pages reconnect to the other nodes.
Ctrl-C stops everything.
`);
}

function parseFlags(): { restart: boolean; brokerName: BrokerName | undefined } {
  const { restart = false, backplane = "mesh" } = readArgs();
  if (backplane === "mesh") return { restart, brokerName: undefined };
  if (backplane !== "nats" && backplane !== "redis") {
    fail(`--backplane must be mesh, nats or redis, got "${backplane}".`);
  }
  if (findBroker(backplane) === undefined) {
    fail(`${backplane} is not installed. ${brokerHint(backplane)}`);
  }
  return { restart, brokerName: backplane };
}

function readArgs(): { restart?: boolean; backplane?: string } {
  try {
    const options = { restart: { type: "boolean" }, backplane: { type: "string" } } as const;
    // `deno task demo -- --restart` passes the `--` on as well.
    return parseArgs({ args: Deno.args.filter((arg) => arg !== "--"), options }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function fail(message: string): never {
  console.error(message);
  Deno.exit(1);
}

function startNode(index: number): NodeProcess {
  const { name } = plan.nodes[index];
  const prefix = paint(COLORS[index], `${shortName(name)} │`);
  const node = new NodeProcess(plan.nodes[index], plan, (line) => console.log(prefix, line));
  running.set(name, node);
  node.ended.then(({ code, signal }) => onEnd(index, signal ?? `exit code ${code}`));
  return node;
}

function onEnd(index: number, how: string): void {
  const { name } = plan.nodes[index];
  running.delete(name);
  if (stopping || !started) return;
  const rest = Array.from(running.keys(), shortName).join(" and ");
  console.log(`\n${shortName(name)} has ended (${how}).`);
  if (restart) {
    console.log(`It will start again in ${RESTART_DELAY_MS / 1000} seconds.\n`);
    setTimeout(() => stopping || startNode(index), RESTART_DELAY_MS);
  } else if (running.size > 0) {
    console.log(
      `The chat goes on with ${rest}. Ctrl-C stops ${running.size > 1 ? "them" : "it"}.\n`,
    );
  } else {
    console.log("That was the last node.");
    exitCode = 1;
    stop();
  }
}

/** Asks every node to stop, and kills those that do not. Calling this again does nothing. */
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  await Promise.all(Array.from(running.values(), (node) => node.stop()));
  await broker?.stop();
  stopped.resolve();
}

function shortName(name: string): string {
  return name.split("@")[0];
}

function paint(code: number, text: string): string {
  return colored ? `\x1b[${code}m${text}\x1b[0m` : text;
}
