import { assert, assertEquals } from "@std/assert";
import { FOUND } from "./_found.ts";
import { type Failure, Fuzzer } from "./_fuzzer.ts";
import { minimise } from "./_minimise.ts";
import { check, type Target, Violation } from "./_target.ts";
import { TARGETS } from "./_targets.ts";

function assertHeld({ name }: Target, failure: Failure & { seed?: number } | undefined): void {
  if (failure === undefined) return;
  const { input, seed, violation } = failure;
  const how = seed === undefined ? `--hex ${input.toHex()}` : `--seed ${seed}`;
  throw new Error(`Replay: deno task fuzz --target ${name} ${how}`, { cause: violation });
}

for (const target of TARGETS) {
  const { name, testSeeds, hasFreshKeys = false } = target;

  Deno.test(`fuzzing ${name}: every input of the corpus has the same outcome as before`, async () => {
    const { corpus } = new Fuzzer(target);
    assert(corpus.size > 0, "there is a corpus");
    for (const [outcome, input] of corpus) {
      const fuzzer = new Fuzzer(target);
      assertHeld(target, await fuzzer.run(input));
      if (!hasFreshKeys) assertEquals([...fuzzer.outcomes.keys()], [outcome], input.toHex());
    }
  });

  Deno.test(`fuzzing ${name}: no promise is broken in ${testSeeds} inputs`, async () => {
    const { failure } = await new Fuzzer(target).runSeeds(1, 1 + testSeeds);
    assertHeld(target, failure);
  });
}

for (const { what, target: name, hex } of FOUND) {
  Deno.test(`a fault once found by fuzzing ${name} stays fixed: ${what}`, async () => {
    const target = TARGETS.find((target) => target.name === name);
    if (target === undefined) throw new Error(`there is no target ${name}`);
    assertHeld(target, await new Fuzzer(target).run(Uint8Array.fromHex(hex)));
  });
}

/** Fails on an input with 7 somewhere before 9. */
const BROKEN: Target = {
  name: "broken",
  examples: [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)],
  testSeeds: 0,
  run: (input) => {
    const at = input.indexOf(7);
    check(at < 0 || !input.subarray(at).includes(9), "seven before nine");
    return "fine";
  },
};

Deno.test("a seed decides the input, and a failing input is found and shortened", async () => {
  const fuzzer = new Fuzzer(BROKEN);
  assertEquals(fuzzer.input(5), new Fuzzer(BROKEN).input(5));
  const { failure } = await fuzzer.runSeeds(1, 100);
  if (failure === undefined) throw new Error("it has not been found");
  assert(failure.violation instanceof Violation);
  assertEquals(fuzzer.input(failure.seed), failure.input);
  const fails = async (input: Uint8Array) => await fuzzer.run(input) !== undefined;
  assertEquals(await minimise(failure.input, fails), Uint8Array.of(7, 9));
});

Deno.test("an uncaught error also fails a target", async () => {
  const target: Target = {
    ...BROKEN,
    run: () => {
      void Promise.reject(new Error("unheard"));
      return "fine";
    },
  };
  const { failure } = await new Fuzzer(target).runSeeds(1, 2);
  assert(failure?.violation instanceof Violation && failure.violation.message.includes("unheard"));
});
