/** What all this runs on. */

import { findBroker } from "../../examples/chat/broker.ts";
import { findBun, findCentrifugo, findNode, PEERS_FOLDER } from "./contenders.ts";
import type { Machine } from "./results.ts";

const KIB = 1024;
/** Of npm's packages, those whose version matters. */
const PACKAGES = [
  ...["socket.io", "@socket.io/redis-adapter", "@socket.io/cluster-adapter"],
  ...["crossws", "ws", "ioredis"],
];

/** Asks the machine. */
export async function describeMachine(): Promise<Machine> {
  const [, processor = "unknown"] = /^model name\s*:\s*(.*)$/m.exec(read("/proc/cpuinfo")) ?? [];
  const [, memoryKib = "0"] = /^MemTotal:\s*(\d+)/m.exec(read("/proc/meminfo")) ?? [];
  return {
    cores: navigator.hardwareConcurrency,
    processor,
    memoryBytes: Number(memoryKib) * KIB,
    system: `Linux ${Deno.osRelease()}`,
    versions: {
      "Deno": Deno.version.deno,
      "Node.js": (await outputOf(findNode(), ["--version"])).replace("v", ""),
      "Bun": await outputOf(findBun() ?? "bun", ["--version"]),
      ...Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
      "redis-server": digits(await outputOf(findBroker("redis") ?? "", ["--version"])),
      "Centrifugo": await centrifugoVersion(),
      "nats-server": digits(await outputOf(findBroker("nats") ?? "", ["--version"])),
    },
  };
}

/** Go knows the version of what it has built; the program itself only that of a release. */
async function centrifugoVersion(): Promise<string> {
  const path = findCentrifugo();
  if (path === undefined) return "";
  const built = await outputOf("go", ["version", "-m", path]);
  const [, version] = /centrifugo\/v6\s+v(\S+)/.exec(built) ?? [];
  return version ?? digits(await outputOf(path, ["version"]));
}

function versionOf(name: string): string {
  const text = read(new URL(`node_modules/${name}/package.json`, PEERS_FOLDER).pathname);
  return text === "" ? "" : JSON.parse(text).version;
}

function digits(text: string): string {
  return /\d+(\.\d+)+/.exec(text)?.[0] ?? "";
}

async function outputOf(command: string, args: string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(command, { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout).trim();
  } catch {
    return "";
  }
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
