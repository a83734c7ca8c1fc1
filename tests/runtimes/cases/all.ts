import type { Cases } from "../../websocket/cases/_cases.ts";
import { ALL as ENDPOINT } from "../../websocket/cases/all.ts";
import { BROKERS } from "./brokers.ts";
import { CLUSTER } from "./cluster.ts";
import { CODEC } from "./codec.ts";
import { SEEDS } from "./seeds.ts";
import { TCP } from "./tcp.ts";

/** What has to hold on every runtime, besides the endpoint. */
export const LIBRARY: Cases = { ...CODEC, ...TCP, ...CLUSTER, ...SEEDS, ...BROKERS };

/** What has to hold on every runtime. */
export const ALL: Cases = { ...ENDPOINT, ...LIBRARY };
