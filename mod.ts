export * from "./codec/mod.ts";
export * from "./mesh/mod.ts";
export * from "./rooms/mod.ts";
