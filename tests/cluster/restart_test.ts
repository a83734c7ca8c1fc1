import { killAndRestart } from "./_restart.ts";

for (const security of ["tls", "plain"] as const) {
  Deno.test(`a node that is killed and restarted under load, ${security}, takes part again, and the others go on`, () =>
    killAndRestart([], security));
}
