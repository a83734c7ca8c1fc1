/** Names of nodes, as they come in NAME, CHALLENGE and PEER_LIST: what is taken for one can be dialled. */

import { MeshError } from "../../mesh/mod.ts";
import { formatAddress, formatName, parseNodeName, parseTarget } from "../../mesh/node_name.ts";
import { check, checkSame, magnitude, type Target } from "./_target.ts";

const MAX_NAME_BYTES = 255;

function run(input: Uint8Array): string {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(input.slice());
  const target = orInvalid(() => parseTarget(text));
  const name = orInvalid(() => parseNodeName(text));
  // A full name is a target whose full form it is.
  checkSame(name !== undefined, target?.name === text, "is a full name");
  if (target === undefined) return "invalid";
  const { hostname, port } = target;
  check(Number.isInteger(port) && port >= 0 && port <= 0xffff, `port ${port}`);
  check(hostname.length > 0 && !/[\s/@[\]]|\p{Cc}/u.test(hostname), `host ${hostname}`);
  const local = text.slice(0, Math.max(0, text.indexOf("@")));
  const full = target.name ?? formatAddress(target);
  check(new TextEncoder().encode(full).length <= MAX_NAME_BYTES, `${full} is too long`);
  if (target.name !== undefined) checkSame(target.name, formatName(local, target), "name");
  checkSame(parseTarget(full), target, "read again");
  return `${name ? "name" : target.name ? "short name" : "address"}, ${
    hostname.includes(":") ? "v6" : "host"
  }, ${magnitude(String(port).length)}`;
}

function orInvalid<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof MeshError && error.code === "invalid-address") return undefined;
    throw error;
  }
}

const EXAMPLES = [
  ...["a@10.0.0.1:9000", "chat-1@[2001:db8::1]:1", "é@host.example:65535", "b@h", "h:0", "[::1]"],
  ...["fe80::1%eth0", "[fe80::1%1]:80", "a@b@c:1", "a:b@h:1", `x@${"h".repeat(246)}:9000`],
];

export const NODE_NAME: Target = {
  name: "node_name",
  testSeeds: 8_000,
  examples: EXAMPLES.map((text) => new TextEncoder().encode(text)),
  run,
};
