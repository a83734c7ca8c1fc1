import { type ExampleServer, findExampleServers } from "./_example_servers.ts";

/** The one example of a server whose label and code match. */
export async function exampleOf(place: string, code: RegExp = /./): Promise<ExampleServer> {
  const found = (await findExampleServers()).filter(({ label, source }) => {
    return label.startsWith(place) && ("file" in source || code.test(source.code));
  });
  if (found.length !== 1) throw new Error(`${found.length} examples in ${place} match ${code}`);
  return found[0];
}
