/** All scenarios. */

import type { Scenario } from "../scenario.ts";
import { badWeather } from "./bad_weather.ts";
import { growth } from "./growth.ts";
import { latency } from "./latency.ts";
import { oneNode } from "./one_node.ts";
import { throughput } from "./throughput.ts";

/** In the order of their numbers. */
export const SCENARIOS: readonly Scenario[] = [throughput, latency, oneNode, growth, badWeather];
