import { assert, assertEquals } from "@std/assert";
import { Broker } from "../../examples/chat/broker.ts";
import { isSkipped } from "../brokers/_servers.ts";
import { killAndRestart } from "../cluster/_restart.ts";
import { nextEvent, startNode } from "../mesh/_cluster.ts";
import { findDrivers, findRuntime, type RuntimeName } from "./_find.ts";

const RUN = decodeURIComponent(new URL("run.ts", import.meta.url).pathname);
const UNREF = decodeURIComponent(new URL("_unref.ts", import.meta.url).pathname);
const RUNTIMES = ["deno", "node", "bun"] as const;
const OTHERS = ["node", "bun"] as const satisfies readonly RuntimeName[];

/** The program of a runtime; none for Deno, which tests start by themselves. */
function programOf(name: typeof RUNTIMES[number]): Promise<string | undefined> {
  return name === "deno" ? Promise.resolve(undefined) : findRuntime(name);
}

/** Runs the cases whose sentence has `words`, and gives how many of them have passed. */
async function runCases(
  name: typeof RUNTIMES[number],
  { words = "", env = {} }: { words?: string; env?: Record<string, string> } = {},
): Promise<number> {
  const program = await programOf(name);
  const deno = ["run", "--quiet", "-A"];
  const { code, stdout, stderr } = await new Deno.Command(program ?? Deno.execPath(), {
    args: [...program === undefined ? deno : [], RUN, words],
    env,
  }).output();
  const decoder = new TextDecoder();
  assertEquals(code, 0, `${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  const [, passed] = /^(\d+) passed, 0 failed$/m.exec(decoder.decode(stdout)) ?? [];
  return Number(passed);
}

for (const name of OTHERS) {
  Deno.test(`the cases pass on ${name} as on Deno, and leave nothing running`, async () => {
    const { ALL } = await import("./cases/all.ts");
    assert(await runCases(name) >= Object.keys(ALL).length);
  });
}

for (const broker of ["nats", "redis"] as const) {
  for (const name of RUNTIMES) {
    Deno.test({
      name: `nodes on ${name} hear each other over ${broker}`,
      ignore: isSkipped(broker),
      fn: async () => {
        const drivers = await findDrivers();
        await using server = await Broker.start(broker);
        const env = {
          ROOMCAST_DRIVERS: drivers,
          [`ROOMCAST_${broker.toUpperCase()}`]: String(server.port),
        };
        assertEquals(await runCases(name, { words: "over a broker", env }), 2);
      },
    });
  }
}

for (const security of ["tls", "plain"] as const) {
  for (const name of OTHERS) {
    Deno.test(`a cluster of three nodes on ${name}, ${security}, survives a kill and a restart under load`, async () => {
      await killAndRestart(Array(3).fill(await findRuntime(name)), security);
    });
  }

  // Each of them is killed once, and each dials, and is dialled by, each other.
  for (const [i, victim] of RUNTIMES.entries()) {
    Deno.test(`a cluster of Deno, Node.js and Bun, ${security}, survives a kill and a restart of ${victim}`, async () => {
      const order = [RUNTIMES[(i + 2) % 3], victim, RUNTIMES[(i + 1) % 3]];
      await killAndRestart(await Promise.all(order.map(programOf)), security);
    });
  }
}

for (const security of ["tls", "plain"] as const) {
  for (const name of OTHERS) {
    Deno.test(`a linked mesh lets its process end after unref on ${name}, ${security}`, async () => {
      const program = await findRuntime(name);
      const tls = security === "tls" ? undefined : false;
      await using mesh = await startNode("a", { tls });
      const down = nextEvent(mesh, "peerdown");
      const { code, stderr } = await new Deno.Command(program, {
        args: [UNREF, security, mesh.name],
      }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      assertEquals((await down).reason === "goodbye", false);
    });
  }
}

Deno.test("a run without any case fails", async () => {
  const args = ["run", "--quiet", "-A", RUN, "no case is called this"];
  const { code } = await new Deno.Command(Deno.execPath(), { args }).output();
  assertEquals(code, 1);
});
