export type { Clock, RandomBytes } from "./clock.ts";
export type {
  MeshEvent,
  MeshEventDetails,
  MeshEventMap,
  PeerDownReason,
  PeerInfo,
} from "./events.ts";
export { MeshError, type MeshErrorCode } from "./mesh_error.ts";
export { type Mesh, startMesh } from "./mesh.ts";
export type { MeshOptions, Seeds } from "./options.ts";
export {
  type Address,
  type Connection,
  type Listener,
  tcpTransport,
  type Transport,
} from "./transport.ts";
