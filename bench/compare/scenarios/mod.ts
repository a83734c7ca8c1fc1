/** All scenarios. */

import type { Scenario } from "../scenario.ts";
import { oneNode } from "./one_node.ts";
import { throughput } from "./throughput.ts";

/** In the order of their numbers. */
export const SCENARIOS: readonly Scenario[] = [throughput, oneNode];
