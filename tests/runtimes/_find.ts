/** Node.js and Bun in the versions that roomcast is tested with, and what tests need there, from npm. */

import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };

/** npm's packages, which carry the programs. */
const RUNTIMES = { node: "24.21.0", bun: "1.4.5" } as const;

/** Drivers of brokers, which Deno finds by its import map. */
const DRIVERS = ["@nats-io/transport-node", "ioredis"] as const;

export type RuntimeName = keyof typeof RUNTIMES;

/** The path of a runtime's program, which npm installs if it is not there yet. */
export async function findRuntime(name: RuntimeName): Promise<string> {
  const folder = await install("runtimes", RUNTIMES);
  return join(folder, "node_modules", ".bin", name);
}

/** The folder from which Node.js and Bun can load the drivers of brokers. */
export function findDrivers(): Promise<string> {
  const versions = DRIVERS.map((name) => {
    const version = config.imports[name].split("@").at(-1) ?? "";
    return [name, version];
  });
  return install("drivers", Object.fromEntries(versions));
}

/**
 * Has npm install packages in these versions, and gives the folder, which is kept from one run to the
 * next among the system's temporary files.
 */
export async function install(
  label: string,
  packages: Readonly<Record<string, string>>,
): Promise<string> {
  const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
  const versions = Object.values(packages).join("_");
  const folder = join(temporary, `roomcast_${label}_${versions}`);
  // npm writes this file when all is there.
  if (await exists(join(folder, "node_modules", ".package-lock.json"))) return folder;
  await Deno.mkdir(folder, { recursive: true });
  const wanted = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
  const { success, stderr } = await new Deno.Command("npm", {
    args: ["install", "--no-audit", "--no-fund", "--prefix", folder, ...wanted],
  }).output();
  if (success) return folder;
  throw new Error(`npm cannot install ${wanted}: ${new TextDecoder().decode(stderr)}`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
