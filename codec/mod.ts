export * from "./frame_error.ts";
export * from "./framing.ts";
export * from "./goodbye.ts";
export * from "./handshake.ts";
export * from "./heartbeat.ts";
export * from "./peer_list.ts";
export * from "./room_broadcast.ts";
export * from "./tags.ts";
