import type { Cases } from "./_cases.ts";
import { COMPRESSION } from "./compression.ts";
import { HANDSHAKE } from "./handshake.ts";
import { PROTOCOL } from "./protocol.ts";
import { SOCKET } from "./socket.ts";

/** What has to hold on every runtime. */
export const ALL: Cases = { ...HANDSHAKE, ...PROTOCOL, ...SOCKET, ...COMPRESSION };
