/** Runs a program, which has to succeed, and gives what it has written. */
export async function run(program: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(
    `${program} ${args[0]} failed: ${decoder.decode(stdout)}${decoder.decode(stderr)}`,
  );
}
