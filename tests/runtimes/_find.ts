/** Node.js and Bun in the versions that the endpoint is tested with, from npm. */

import { join } from "node:path";

/** npm's packages, which carry the programs. */
const PACKAGES = { node: "24.21.0", bun: "1.4.5" } as const;

export type RuntimeName = keyof typeof PACKAGES;

/** Where they are kept from one run to the next. */
function folder(): string {
  const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
  const versions = Object.values(PACKAGES).join("_");
  return join(temporary, `roomcast_runtimes_${versions}`);
}

/** The path of a runtime's program, which npm installs if it is not there yet. */
export async function findRuntime(name: RuntimeName): Promise<string> {
  const program = join(folder(), "node_modules", ".bin", name);
  if (await isRunning(program)) return program;
  await Deno.mkdir(folder(), { recursive: true });
  const packages = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
  const { success, stderr } = await new Deno.Command("npm", {
    args: ["install", "--no-audit", "--no-fund", "--prefix", folder(), ...packages],
  }).output();
  if (!success) {
    throw new Error(`npm cannot install ${packages}: ${new TextDecoder().decode(stderr)}`);
  }
  if (await isRunning(program)) return program;
  throw new Error(`npm has installed ${name}, but it does not run`);
}

async function isRunning(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
