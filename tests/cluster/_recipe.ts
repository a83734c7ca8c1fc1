import { type ExampleServer, findExampleServers, startableBlocks } from "./_example_servers.ts";

/** The one example of a server whose label and code match. */
export async function exampleOf(place: string, code: RegExp = /./): Promise<ExampleServer> {
  const found = (await findExampleServers()).filter(({ label, source }) => {
    return label.startsWith(place) && ("file" in source || code.test(source.code));
  });
  if (found.length !== 1) throw new Error(`${found.length} examples in ${place} match ${code}`);
  return found[0];
}

/** The one block of code in a page that matches, as a program that listens at a port and takes no WebSockets. */
export async function programOf(page: string, code: RegExp): Promise<ExampleServer> {
  const found = (await startableBlocks(page)).filter((block) => code.test(block.code));
  if (found.length !== 1) throw new Error(`${found.length} blocks in ${page} match ${code}`);
  const [{ line, code: program }] = found;
  return {
    label: `${page}:${line}`,
    source: { code: program },
    path: "/",
    purpose: "nothing",
    closeCode: 1006,
    handlesSigterm: false,
    runner: "run",
  };
}
