/** A Socket.IO server on Deno and one on Node.js or Bun, in one cluster. */

import { assertEquals } from "@std/assert";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { lines } from "../../examples/chat/node_process.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { findRuntime, install } from "../runtimes/_find.ts";
import { type Guest, IoCluster } from "./_socket_io_cluster.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/**
 * A folder with npm's packages, in which the tree is a link: Node.js and Bun look for packages in the
 * folders above a file.
 */
async function folderWithPackages(): Promise<string> {
  const names = ["notepack.io", "socket.io", "socket.io-adapter"] as const;
  const packages = names.map((name) => [name, config.imports[name].split("@").at(-1) ?? ""]);
  const folder = await install("socket_io", Object.fromEntries(packages));
  const link = join(folder, `tree_${crypto.randomUUID()}`);
  await Deno.symlink(ROOT, link);
  return link;
}

for (const runtime of ["node", "bun"] as const) {
  Deno.test(`a Socket.IO server on ${runtime} and others on Deno form one cluster`, async () => {
    await using stack = new AsyncDisposableStack();
    const tree = await folderWithPackages();
    stack.defer(() => Deno.remove(tree));
    const cluster = stack.use(await IoCluster.start());
    const [{ io, mesh }] = cluster.servers;

    const name = `${runtime}@127.0.0.1:0`;
    const options = {
      node: ["--preserve-symlinks-main", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"],
      bun: [],
    }[runtime];
    const child = new Deno.Command(await findRuntime(runtime), {
      args: [
        "--preserve-symlinks",
        ...options,
        join(tree, "tests/integrations/_socket_io_server.ts"),
        name,
        mesh.name,
      ],
      env: { ROOMCAST_COOKIE: COOKIE },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const output = lines(child.stdout);
    stack.defer(async () => {
      await child.stdin.close();
      await within("the other server ending", child.status);
      for await (const _ of output);
    });
    const { value } = await within("the other server listening", output.next());
    const guest: Guest = await cluster.connectTo(Number(value));
    stack.defer(() => guest.end());

    const found = await io.to("red").fetchSockets();
    assertEquals(found.map(({ id, data }) => [id, data]), [[guest.id, { name }]]);
    const answers = await io.serverSideEmitWithAck("settled?");
    assertEquals(new Set(answers), new Set([1, 2, name]));

    const bytes = Uint8Array.of(0, 200, 255);
    io.to("red").emit("bytes", bytes);
    io.except("red").emit("others");
    io.emit("end");
    await within("the guest hearing the end", guest.hears("end"));
    const [[, heard], ...rest] = guest.heard;
    assertEquals(new Uint8Array(heard as ArrayBuffer), bytes);
    assertEquals(rest, [["end"]]);
  });
}
