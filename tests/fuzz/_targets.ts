import { CLIENT_FRAME_TARGETS } from "./_client_frames.ts";
import { ENVELOPE } from "./_envelope.ts";
import { FRAMES } from "./_frames.ts";
import { HANDSHAKE_TARGETS } from "./_handshake.ts";
import { MESSAGE_TARGETS } from "./_messages.ts";
import { NODE_NAME } from "./_node_name.ts";
import { SESSION } from "./_session.ts";
import { PRESENCE_TARGETS } from "./_presence.ts";
import { STRANGER_TARGET } from "./_stranger.ts";
import type { Target } from "./_target.ts";
import { TLS_MIDDLE } from "./_tls_middle.ts";
import { TLS_STRANGER_TARGETS } from "./_tls_stranger.ts";

/** All that is fuzzed. */
export const TARGETS: readonly Target[] = [
  ...MESSAGE_TARGETS,
  ...PRESENCE_TARGETS,
  FRAMES,
  ...HANDSHAKE_TARGETS,
  STRANGER_TARGET,
  SESSION,
  ...TLS_STRANGER_TARGETS,
  TLS_MIDDLE,
  NODE_NAME,
  ENVELOPE,
  ...CLIENT_FRAME_TARGETS,
];
