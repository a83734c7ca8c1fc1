import { killAndRestart } from "./_restart.ts";

for (const security of ["tls", "plain"] as const) {
  Deno.test(`a node killed and restarted under load, ${security}: the others go on, and it takes part again`, () =>
    killAndRestart([], security));
}
