import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COOKIE, fullyLinked, startNode, startPlainNode } from "../mesh/_cluster.ts";
import { MeshLangPeer } from "../mesh/_mesh_lang_peer.ts";

const INSPECT = new URL("../../examples/inspect/inspect.ts", import.meta.url).pathname;

/** Runs the inspector as the task does, and gives how it ended and what it printed. */
async function inspect(
  args: string[],
  cookie = COOKIE,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", "--allow-env=ROOMCAST_COOKIE", INSPECT, ...args],
    env: { ROOMCAST_COOKIE: cookie, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("the inspector lists all nodes of a cluster from the address of one, and leaves", async () => {
  await using a = await startNode("chat-1", { allowMeshLang: true });
  await using b = await startNode("chat-2", { seeds: [a.name], allowMeshLang: true });
  await using x = await MeshLangPeer.start("mesh-1");
  await fullyLinked([a, b]);
  await x.dial(a.name);
  await x.until(() => x.sessionNames.length === 2);

  const gone = new Promise((resolve) =>
    a.addEventListener("peerdown", ({ peer, reason }) => resolve([peer.name.slice(0, 8), reason]))
  );
  const { code, stdout, stderr } = await inspect([
    `127.0.0.1:${a.address.port}`,
    "--allow-mesh-lang",
  ]);
  assertEquals([code, stderr], [0, ""]);
  const rows = stdout.trim().split("\n").slice(1).map((line) => line.split(/ {2,}/));
  const expected = [a, b].map(({ name, incarnation }) => [name, incarnation, "TLS", "roomcast"]);
  assertEquals(rows.map((row) => row.slice(0, 4)), [...expected, [
    x.name,
    "-",
    "TLS",
    "Mesh runtime",
  ]]);
  for (const row of rows) assertMatch(row[4], /^\d+\.\d ms$/);
  assertEquals(await gone, ["inspect-", "goodbye"]);
});

Deno.test("the inspector says of plain links that they are plain, and which nodes it cannot link", async () => {
  await using a = await startPlainNode("chat-1", { allowMeshLang: true });
  await using x = await MeshLangPeer.start("mesh-1", { tls: false });
  await x.dial(a.name);
  const { code, stdout } = await inspect([a.name, "--plain"]);
  assertEquals(code, 1);
  assertMatch(stdout, /^chat-1@\S+ +[0-9a-f]{16} +plain +roomcast +\d+\.\d ms$/m);
  assertMatch(stdout, /^ {2}127\.0\.0\.1:\d+ {2}mesh-lang-handshake {2}.*--allow-mesh-lang\.$/m);
});

Deno.test("the inspector says what is wrong, in words that help, and ends with 1", async () => {
  await using secure = await startNode("secure");
  await using plain = await startPlainNode("plain");
  const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = nobody.addr;
  nobody.close();
  const cases: [args: string[], cookie: string, part: string][] = [
    [[secure.name], "another cookie altogether", "Is ROOMCAST_COOKIE the one"],
    [[secure.name, "--plain"], COOKIE, "leave --plain out"],
    [[plain.name], COOKIE, "try --plain"],
    [[`127.0.0.1:${port}`], COOKIE, "Is the node up"],
    [["nonsense:"], COOKIE, "host:port"],
  ];
  for (const [args, cookie, part] of cases) {
    const { code, stdout, stderr } = await inspect(args, cookie);
    assertEquals([code, stdout], [1, ""], stderr);
    assertStringIncludes(stderr, part);
  }
});

Deno.test("the inspector explains its use when it is started wrongly, and ends with 2", async () => {
  const cases: [args: string[], cookie: string, part: string][] = [
    [[], COOKIE, "one address is wanted"],
    [["a:1", "b:1"], COOKIE, "one address is wanted"],
    [["a:1"], "", "ROOMCAST_COOKIE is not set"],
    [["a:1"], "too short", "16 bytes"],
    [["a:1", "--wait", "never"], COOKIE, "--wait"],
    [["a:1", "--verbose"], COOKIE, "Usage:"],
  ];
  for (const [args, cookie, part] of cases) {
    const { code, stderr } = await inspect(args, cookie);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, part);
    assertEquals(stderr.includes(" at file:"), false, stderr);
  }
});
