import v8 from "node:v8";
import vm from "node:vm";

/** Collects what nothing holds any more, apart from what a `WeakRef` of this turn has held. */
export async function collectGarbage(): Promise<void> {
  // A WeakRef holds its target until the turn ends in which it was made.
  await new Promise((resolve) => setTimeout(resolve));
  v8.setFlagsFromString("--expose-gc");
  vm.runInNewContext("gc")();
}
