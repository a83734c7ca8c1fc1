/**
 * The first byte of every message (`docs/wire.md`):
 *
 * | tag | message | body |
 * | --- | --- | --- |
 * | `0x01` | NAME | `u16` length, name, `u8` creation, \[extension\] |
 * | `0x02` | CHALLENGE | `u16` length, name, `u8` creation, 32-byte challenge, \[extension\] |
 * | `0x03` | REPLY | 32-byte proof, 32-byte challenge |
 * | `0x04` | ACK | 32-byte proof |
 * | `0x12` | PEER_LIST | `u16` count, then count × (`u16` length, name) |
 * | `0x1E` | ROOM_BROADCAST | `u16` length, room, `u32` length, message |
 * | `0xE0` | GOODBYE | empty |
 * | `0xE1` | none: reserved for the envelope of a message on a broker | |
 * | `0xE2` | ROOM_MESSAGE | `u8` flags, two lists of rooms, `u32` length, message |
 * | `0xE3` | ROOM_INTEREST | `u8` op, then (`u16` length, room) to the end |
 * | `0xE4` | MISSED | `u32` count |
 * | `0xE5` | ROOM_CLOSE | `u16` length, room, `u16` code, `u8` length, reason |
 * | `0xF0` | PING | 8 bytes |
 * | `0xF1` | PONG | the 8 bytes of the ping |
 *
 * `0x01`–`0x04` are read only while two nodes shake hands, the others only in a session.
 * `0xE0`–`0xEF` belong to roomcast, every other tag to the Mesh runtime or to nobody yet. A
 * receiver ignores and counts a tag that it does not know.
 *
 * @module
 */

/** Handshake, from the initiator: who is calling. */
export const NAME = 0x01;
/** Handshake, from the acceptor: who answers, and what the caller must prove against. */
export const CHALLENGE = 0x02;
/** Handshake, from the initiator: its proof, and a challenge of its own. */
export const REPLY = 0x03;
/** Handshake, from the acceptor: its proof. The session begins after it. */
export const ACK = 0x04;

/** Names of the nodes that the sender is connected to. */
export const PEER_LIST = 0x12;
/** A text for the members of a room. */
export const ROOM_BROADCAST = 0x1e;
/** The sender leaves on purpose. */
export const GOODBYE = 0xe0;
/**
 * Not a message between two nodes: the first byte of the envelope of a message on a broker. It is
 * reserved here, so that a message on a link is never mistaken for an envelope.
 */
export const ENVELOPE = 0xe1;
/** A text or bytes for the members of some rooms, except the members of others. */
export const ROOM_MESSAGE = 0xe2;
/** Which broadcasts the sender wants from the receiver. */
export const ROOM_INTEREST = 0xe3;
/** How many broadcasts the receiver did not get. */
export const MISSED = 0xe4;
/** Closes the members of a room. */
export const ROOM_CLOSE = 0xe5;
/** Asks for a PONG. */
export const PING = 0xf0;
/** Answers a PING. */
export const PONG = 0xf1;
