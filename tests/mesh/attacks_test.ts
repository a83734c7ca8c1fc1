/**
 * What somebody on the path between two nodes can do to a handshake, tried. Where an attack is
 * expected to fail, the same person in the middle first shows that it can pass an honest handshake
 * on; so it is the defence that stops the attack, and not a mistake of the attacker's.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  decodeChallenge,
  decodeName,
  encodeChallenge,
  encodeName,
  type HandshakeName,
  NAME,
} from "../../codec/mod.ts";
import { encodeRoomBroadcast, type Mesh, MeshError } from "../../mod.ts";
import { tcpTransport, tlsTransport } from "../../mesh/mod.ts";
import { Inbox, nextEvent, startNode, startPlainNode } from "./_cluster.ts";
import { Middle, type MiddleOptions } from "./_middle.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

const SECRET = "the password is swordfish";

/** What becomes of a dial through somebody in the middle: for who dials, and for who is dialled. */
async function dialThrough(
  options: MiddleOptions,
  start: (local: string) => Promise<Mesh>,
): Promise<{ dialler: string; acceptor: string }> {
  await using a = await start("a");
  await using b = await start("b");
  await using middle = await Middle.start(b.address, options);
  const linked = nextEvent(b, "peerup").then(() => "linked");
  const refused = nextEvent(b, "refused").then(({ code }) => code);
  const dialler = await a.connect(middle.address)
    .then(() => "linked", (error) => error instanceof MeshError ? error.code : String(error));
  return { dialler, acceptor: await Promise.race([linked, refused]) };
}

/** Both sides of a handshake, each message's identity changed on its way. */
function changed(
  tag: number,
  change: (message: HandshakeName) => HandshakeName,
): MiddleOptions["alter"] {
  return (payload) => {
    if (payload[0] !== tag) return payload;
    if (tag === NAME) return encodeName(change(decodeName(payload)));
    const { challenge, ...identity } = decodeChallenge(payload);
    return encodeChallenge({ ...change(identity), challenge });
  };
}

const honest = (payload: Uint8Array) => payload;

Deno.test("a person in the middle who only passes TLS bytes on learns nothing", async () => {
  assertEquals(await dialThrough({}, startNode), { dialler: "linked", acceptor: "linked" });
});

Deno.test("a person in the middle with a certificate of its own, relaying every byte, is refused", async () => {
  const outcome = await dialThrough({ transport: tlsTransport() }, startNode);
  // The proof is bound to the certificate that the dialler has seen, and the node has another.
  assertEquals(outcome, { dialler: "not-accepted", acceptor: "wrong-cookie" });
});

Deno.test("a person in the middle who relays every byte on plain TCP can read and change messages", async () => {
  await using a = await startPlainNode("a");
  await using b = await startPlainNode("b");
  const alter = (payload: Uint8Array) =>
    payload[0] === 0x1e ? encodeRoomBroadcast("r", "a lie") : payload;
  await using middle = await Middle.start(b.address, { alter });
  const inbox = new Inbox(b);
  await a.connect(middle.address);
  a.publish(encodeRoomBroadcast("r", SECRET));
  assertEquals(await inbox.has(1), [encodeRoomBroadcast("r", "a lie")]);
  assert(middle.hasRead(SECRET));
});

Deno.test("an eavesdropper on two nodes with default options reads no room and no message", async () => {
  await using a = await startNode("a");
  await using b = await startNode("b");
  await using middle = await Middle.start(b.address);
  const [atA, atB] = [new Inbox(a), new Inbox(b)];
  await a.connect(middle.address);
  for (let i = 0; i < 100; i++) {
    a.publish(encodeRoomBroadcast("a secret room", SECRET));
    b.publish(encodeRoomBroadcast("a secret room", SECRET));
  }
  await Promise.all([atA.has(100), atB.has(100)]);
  const size = middle.said.reduce((sum, bytes) => sum + bytes.length, 0);
  assert(size > 200 * SECRET.length, `only ${size} bytes were recorded`);
  for (const text of [SECRET, "a secret room", a.name, b.name]) assert(!middle.hasRead(text), text);
});

Deno.test("a dialler that expects TLS never falls back to plain TCP", async () => {
  await using a = await startNode("a");
  await using b = await startPlainNode("b");
  const error = await assertRejects(() => a.connect(b.name), MeshError) as MeshError;
  assertEquals(error.code, "peer-speaks-plain");
});

const PLAIN = { dialler: "linked", acceptor: "linked" };

Deno.test("the person in the middle of these attacks can pass on an honest handshake", async () => {
  assertEquals(await dialThrough({ alter: honest }, startPlainNode), PLAIN);
});

Deno.test("a name that is changed in flight is refused, on either side", async () => {
  const rename = (from: string) => (message: HandshakeName) => ({
    ...message,
    name: message.name.replace(`${from}@`, "m@"),
  });
  assertEquals(await dialThrough({ alter: changed(0x01, rename("a")) }, startPlainNode), {
    dialler: "not-accepted",
    acceptor: "wrong-cookie",
  });
  assertEquals(await dialThrough({ alter: changed(0x02, rename("b")) }, startPlainNode), {
    dialler: "not-accepted",
    acceptor: "wrong-cookie",
  });
});

Deno.test("feature bits and incarnations that are changed in flight are refused, on either side", async () => {
  const flip = ({ extension, ...message }: HandshakeName): HandshakeName => ({
    ...message,
    extension: extension && { ...extension, features: extension.features ^ 1 },
  });
  const reincarnate = ({ extension, ...message }: HandshakeName): HandshakeName => ({
    ...message,
    extension: extension && { ...extension, incarnation: new Uint8Array(8) },
  });
  for (const tag of [0x01, 0x02]) {
    for (const change of [flip, reincarnate]) {
      assertEquals(await dialThrough({ alter: changed(tag, change) }, startPlainNode), {
        dialler: "not-accepted",
        acceptor: "wrong-cookie",
      });
    }
  }
});

Deno.test("a removed extension is refused by default, so nobody can demand the Mesh runtime's proof", async () => {
  const strip = ({ name, creation }: HandshakeName) => ({ name, creation });
  for (const transport of [tcpTransport, tlsTransport()]) {
    const start = (local: string) => startNode(local, { transport });
    const fromName = await dialThrough({ transport, alter: changed(0x01, strip) }, start);
    assertEquals(fromName, { dialler: "closed", acceptor: "mesh-lang-handshake" });
    const fromChallenge = await dialThrough({ transport, alter: changed(0x02, strip) }, start);
    assertEquals(fromChallenge, { dialler: "mesh-lang-handshake", acceptor: "closed" });
  }
});

Deno.test("a removed extension is accepted with allowMeshLang, so a person in the middle gets in", async () => {
  const strip = ({ name, creation }: HandshakeName) => ({ name, creation });
  const start = (local: string) => startNode(local, { allowMeshLang: true });
  const alter: MiddleOptions["alter"] = (payload, way) => {
    if (payload[0] === 0x01) return changed(0x01, strip)?.(payload, way) ?? payload;
    return payload[0] === 0x02 ? changed(0x02, strip)?.(payload, way) ?? payload : payload;
  };
  assertEquals(await dialThrough({ transport: tlsTransport(), alter }, start), PLAIN);
});

Deno.test("a node does not answer a challenge that an attacker has from another node", async () => {
  await using a = await startPlainNode("a");
  await using b = await startPlainNode("b");
  const attacker = rawIdentity("m@127.0.0.1:1");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const dialling = b.connect(`127.0.0.1:${listener.addr.port}`).catch(() => {});
  using fromB = new RawPeer(await listener.accept());
  using toA = await RawPeer.dial(a.address);

  // The attacker knocks at a's door in b's name, and has b answer the challenge that it gets.
  const name = await fromB.expect();
  await toA.send(name);
  const { challenge } = decodeChallenge(await toA.expect());
  await fromB.send(
    encodeChallenge({ name: attacker.name, creation: 1, challenge, extension: attacker }),
  );
  const refused = nextEvent(a, "refused");
  await toA.send(await fromB.expect());
  assertEquals(await toA.receive(), null);
  assertEquals((await refused).code, "wrong-cookie");
  fromB.close();
  await dialling;
});

Deno.test("a node that dials again refuses an acceptor's recorded answers", async () => {
  await using a = await startPlainNode("a");
  const self = rawIdentity("z@127.0.0.1:1");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${listener.addr.port}`;
  const first = a.connect(address);
  using honest = new RawPeer(await listener.accept());
  const { challenge, ack } = await honest.accept(self);
  await first;
  const down = nextEvent(a, "peerdown");
  honest.close();
  await down;

  const again = assertRejects(() => a.connect(address), MeshError);
  for (;;) {
    // The node redials a peer that it has lost, too.
    using replayed = new RawPeer(await listener.accept());
    await replayed.expect();
    await replayed.send(challenge);
    if (await replayed.receive() === null) continue;
    await replayed.send(ack);
    assertEquals(await replayed.receive(), null);
    break;
  }
  assertEquals((await again as MeshError).code, "wrong-cookie");
});
