/** Whether a mesh keeps its process alive, seen with real processes. */

import { assertEquals } from "@std/assert";
import { nextEvent, startNode } from "./_cluster.ts";
import { COOKIE } from "./_cluster.ts";
import { KeepAlive } from "../../mesh/keep_alive.ts";
import { FakeTimers } from "../_fake_timers.ts";

const MESH = new URL("../../mesh/mod.ts", import.meta.url).href;

/** A program that links itself to a node, has something said of `mesh`, and has nothing more to do. */
function program(seed: string, last: string, tls: boolean): string {
  return `
import { startMesh } from ${JSON.stringify(MESH)};
const mesh = await startMesh({
  name: "child@127.0.0.1:0",
  cookie: ${JSON.stringify(COOKIE)},
  tls: ${tls ? undefined : false},
});
await mesh.connect(${JSON.stringify(seed)});
${last}
`;
}

function spawn(code: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--no-lock",
      "-A",
      `data:application/typescript,${encodeURIComponent(code)}`,
    ],
    stdin: "null",
  }).spawn();
}

for (const tls of [true, false]) {
  Deno.test(`a linked mesh lets its process end after unref (tls: ${tls})`, async () => {
    await using a = await startNode("a", tls ? {} : { tls: false });
    const down = nextEvent(a, "peerdown");
    const child = spawn(program(a.name, "mesh.unref();", tls));
    assertEquals((await child.status).code, 0);
    assertEquals((await down).peer.name.startsWith("child@"), true);
  });
}

Deno.test("links that come up after unref do not keep the process alive either", async () => {
  await using a = await startNode("a");
  const late = `mesh.unref(); await mesh.connect(${JSON.stringify(a.name)}); mesh.unref();`;
  const child = spawn(program(a.name, late, true));
  assertEquals((await child.status).code, 0);
});

Deno.test("a mesh keeps its process alive by default, and again after ref", async () => {
  await using a = await startNode("a");
  const child = spawn(
    program(
      a.name,
      `mesh.unref(); mesh.ref(); mesh.publish(Uint8Array.of(0x1e, 0, 0, 0, 0, 0, 0));`,
      true,
    ),
  );
  const arrived = Promise.withResolvers<void>();
  a.subscribe(() => arrived.resolve());
  await arrived.promise;
  const status = await Promise.race([
    child.status.then(() => "ended"),
    new Promise((resolve) => setTimeout(() => resolve("runs"), 1_000)),
  ]);
  assertEquals(status, "runs");
  child.kill("SIGKILL");
  await child.status;
});

Deno.test("deno serve ends on SIGTERM with unref, and a SIGTERM listener can say goodbye", async () => {
  for (
    const { line, reason } of [
      { line: "mesh.unref();", reason: "closed" },
      { line: "Deno.addSignalListener('SIGTERM', () => mesh.shutdown());", reason: "goodbye" },
    ]
  ) {
    await using a = await startNode("a");
    const [up, down] = [nextEvent(a, "peerup"), nextEvent(a, "peerdown")];
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    const server = `${program(a.name, line, true)}
export default { fetch: () => new Response("hello") };
`;
    await Deno.writeTextFile(file, server);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["serve", "--no-check", "--no-lock", "-A", "--port", "0", file],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await up;
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill("SIGTERM");
    await child.status;
    assertEquals((await down).reason, reason);
    await Deno.remove(file);
  }
});

Deno.test("open and later connections follow ref and unref, and closed ones do not", () => {
  const calls: string[] = [];
  const open = (name: string) => ({
    ref: () => calls.push(`ref ${name}`),
    unref: () => calls.push(`unref ${name}`),
  });
  const timers = Object.assign(new FakeTimers(), {
    refTimer: (timer: unknown) => calls.push(`ref timer ${timer}`),
    unrefTimer: (timer: unknown) => calls.push(`unref timer ${timer}`),
  });
  const keepAlive = new KeepAlive(timers);
  const [first, second] = [open("first"), open("second")];
  keepAlive.add(first);
  const timer = keepAlive.setTimeout(() => {}, 10);
  keepAlive.set(true);
  assertEquals(calls.splice(0), []);
  keepAlive.set(false);
  keepAlive.add(second);
  const late = keepAlive.setTimeout(() => {}, 10);
  keepAlive.clearTimeout(timer);
  keepAlive.delete(first);
  assertEquals(calls.splice(0), [
    "unref first",
    `unref timer ${timer}`,
    "unref second",
    `unref timer ${late}`,
  ]);
  keepAlive.set(true);
  assertEquals(calls.splice(0), ["ref second", `ref timer ${late}`]);
  timers.advance(10);
  keepAlive.set(false);
  assertEquals(calls, ["unref second"]);
});
