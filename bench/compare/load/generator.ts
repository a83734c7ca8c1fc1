/** The load generator, from where it is told what to do. */

import { Program } from "../program.ts";
import type { Absorbed, Flooded, LoadOrder, Paced, Probed, Saturated } from "./orders.ts";

/** What each order is answered with. */
interface Answers {
  saturate: Saturated;
  pace: Paced;
  probe: Probed;
  flood: Flooded;
  absorb: Absorbed;
}

type Answer<Op> = Op extends keyof Answers ? Answers[Op] : unknown;

/** A running load generator. */
export class Generator {
  readonly #program: Program;
  #answer = Promise.withResolvers<Record<string, unknown>>();

  constructor() {
    const path = new URL("load_generator.ts", import.meta.url).pathname;
    this.#program = new Program({
      command: Deno.execPath(),
      args: ["run", "-A", "--quiet", path],
      onLine: (value) => this.#answer.resolve(value),
    });
    this.#program.ended.then(() => this.#answer.resolve({ error: "the generator has ended" }));
  }

  get pid(): number {
    return this.#program.pid;
  }

  /**
   * Has an order carried out. One at a time.
   *
   * @throws {Error} if it fails.
   */
  async run<Op extends LoadOrder["op"]>(
    order: Extract<LoadOrder, { op: Op }> | LoadOrder & { op: Op },
  ): Promise<Answer<Op>> {
    this.#answer = Promise.withResolvers();
    this.#program.tell(order);
    const { error, result } = await this.#answer.promise;
    if (error !== undefined) throw new Error(String(error));
    return result as Answer<Op>;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}
