/**
 * What a node understands beyond the protocol of the Mesh runtime: the `u32` of feature bits in its
 * `HandshakeExtension`. A message is sent only to a peer that announced its bit. Bits
 * without a name here are ignored.
 *
 * | bit | constant | messages |
 * | --- | --- | --- |
 * | 0 | {@linkcode FEATURE_GOODBYE} | GOODBYE |
 * | 1 | {@linkcode FEATURE_ROOM_MESSAGE} | ROOM_MESSAGE |
 * | 2 | {@linkcode FEATURE_ROOM_INTEREST} | ROOM_INTEREST |
 * | 3 | {@linkcode FEATURE_MISSED} | MISSED |
 * | 4 | {@linkcode FEATURE_ROOM_CLOSE} | ROOM_CLOSE |
 * | 5 | {@linkcode FEATURE_OBSERVER} | none: the node only observes |
 *
 * @module
 */

/** Feature bit 0: the node understands GOODBYE. */
export const FEATURE_GOODBYE: number = 1 << 0;
/** Feature bit 1: the node understands ROOM_MESSAGE. */
export const FEATURE_ROOM_MESSAGE: number = 1 << 1;
/** Feature bit 2: the node understands ROOM_INTEREST and honours it. */
export const FEATURE_ROOM_INTEREST: number = 1 << 2;
/** Feature bit 3: the node understands MISSED. */
export const FEATURE_MISSED: number = 1 << 3;
/** Feature bit 4: the node understands ROOM_CLOSE. */
export const FEATURE_ROOM_CLOSE: number = 1 << 4;
/** Feature bit 5: the node observes the cluster and is not a member of it. */
export const FEATURE_OBSERVER: number = 1 << 5;
