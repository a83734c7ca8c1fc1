import { assertEquals, assertRejects } from "@std/assert";
import { encodeChallenge, encodeFrame, encodeName } from "../../codec/mod.ts";
import { type Mesh, MeshError } from "../../mod.ts";
import { Cookies } from "../../mesh/cookies.ts";
import { accept, initiate, type NodeIdentity } from "../../mesh/handshake.ts";
import vectors from "../testdata/handshake.json" with { type: "json" };
import { collect, COOKIE, nextEvent, startPlainNode } from "./_cluster.ts";
import { pipe } from "./_pipe.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

interface Side {
  name: string;
  incarnationHex?: string;
  features?: number;
  challengeHex: string;
}

function identity({ name, incarnationHex = "", features = 0 }: Side): NodeIdentity {
  return { name, incarnation: incarnationHex, features };
}

const ignore = () => {};

for (const vector of vectors.cases) {
  const { bindingHex, initiator, acceptor, cookie } = vector;
  if (bindingHex === undefined) continue; // The Mesh runtime's: neither side of it is all ours.
  Deno.test(`initiator and acceptor send the vector's bytes exactly: ${vector.name}`, async () => {
    const cookies = new Cookies([cookie]);
    const { ends, written } = pipe(fromHex(bindingHex));
    const [peer, accepted] = await Promise.all([
      (async () => {
        const result = await initiate(ends[0], {
          self: identity(initiator),
          allowMeshLang: false,
          cookies,
          randomBytes: () => fromHex(initiator.challengeHex),
          onIdentity: ignore,
        });
        return result;
      })(),
      (async () => {
        const result = await accept(ends[1], {
          self: identity(acceptor),
          allowMeshLang: false,
          cookies,
          randomBytes: () => fromHex(acceptor.challengeHex),
          onIdentity: ignore,
        });
        await ends[1].write(encodeFrame(result.ack));
        return result;
      })(),
    ]);
    assertEquals(written[0], [vector.nameHex, vector.replyHex].map(fromHex).map(encodeFrame));
    assertEquals(
      written[1],
      [vector.challengeMessageHex, vector.ackHex].map(fromHex).map(encodeFrame),
    );
    assertEquals([peer, accepted.peer], [identity(acceptor), identity(initiator)]);
  });
}

Deno.test("either role answers the Mesh runtime byte for byte as that runtime does", async () => {
  const vector = vectors.cases.find(({ name }) => name === "original");
  if (vector === undefined) throw new Error("the vectors have lost the Mesh runtime's");
  const { initiator, acceptor, nameHex, challengeMessageHex, replyHex, ackHex } = vector;
  const cookies = new Cookies([vector.cookie]);
  const frame = (hex: string) => encodeFrame(fromHex(hex));
  const options = ({ challengeHex }: Side, name: string) => ({
    self: { name, incarnation: "00".repeat(8), features: 1 },
    allowMeshLang: true,
    cookies,
    randomBytes: () => fromHex(challengeHex),
    onIdentity: ignore,
  });
  {
    const { ends: [ours, theirs], written } = pipe();
    await theirs.write(frame(challengeMessageHex));
    await theirs.write(frame(ackHex));
    const peer = await initiate(ours, options(initiator, initiator.name));
    assertEquals(peer, identity(acceptor));
    assertEquals(written[0][1], frame(replyHex));
  }
  {
    const { ends: [ours, theirs], written } = pipe();
    await theirs.write(frame(nameHex));
    await theirs.write(frame(replyHex));
    const { peer, ack } = await accept(ours, options(acceptor, acceptor.name));
    assertEquals([peer, ack], [identity(initiator), fromHex(ackHex)]);
    // Its CHALLENGE begins as the Mesh runtime's does, and what follows is ignored there.
    const challenge = fromHex(challengeMessageHex);
    assertEquals(written[0][0].subarray(4, 4 + challenge.length), challenge);
  }
});

Deno.test("the binding is 32 zero bytes on plain TCP, and another binding gives another proof", async () => {
  const cookies = new Cookies([COOKIE]);
  const self = (name: string) => ({ name, incarnation: "00".repeat(8), features: 1 });
  const shake = async (left: Uint8Array | undefined, right: Uint8Array | undefined) => {
    const { ends } = pipe();
    const options = {
      allowMeshLang: false,
      cookies,
      randomBytes: (size: number) => new Uint8Array(size),
      onIdentity: ignore,
    };
    const one = { ...ends[0], binding: left };
    const two = { ...ends[1], binding: right };
    const accepting = accept(two, { ...options, self: self("b@h:1") })
      .then(({ ack }) => two.write(encodeFrame(ack)))
      .finally(() => two.close());
    const outcomes = await Promise.allSettled([
      initiate(one, { ...options, self: self("a@h:1") }),
      accepting,
    ]);
    return outcomes.map(({ status }) => status);
  };
  assertEquals(await shake(undefined, new Uint8Array(32)), ["fulfilled", "fulfilled"]);
  assertEquals(await shake(undefined, new Uint8Array(32).fill(1)), ["rejected", "rejected"]);
});

/** Plays an acceptor that answers NAME with `challenge`, and gives the code of the node's refusal. */
async function answerWith(mesh: Mesh, challenge: Uint8Array, name?: string): Promise<string> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${listener.addr.port}`;
  const connecting = assertRejects(
    () => mesh.connect(name === undefined ? address : `${name}@${address}`),
    MeshError,
  );
  using peer = new RawPeer(await listener.accept());
  await peer.receive();
  await peer.send(challenge);
  assertEquals(await peer.receive(), null); // No proof is given away.
  return (await connecting as MeshError).code;
}

Deno.test("an initiator refuses an acceptor without the extension, before it proves anything", async () => {
  await using mesh = await startPlainNode("a");
  const challenge = encodeChallenge({
    name: "z@127.0.0.1:1",
    creation: 1,
    challenge: new Uint8Array(32),
  });
  assertEquals(await answerWith(mesh, challenge), "mesh-lang-handshake");
});

Deno.test("an initiator that dialled a name refuses another one, before it proves anything", async () => {
  await using mesh = await startPlainNode("a");
  const challenge = encodeChallenge({
    name: "z@127.0.0.1:1",
    creation: 1,
    challenge: new Uint8Array(32),
    extension: rawIdentity("z"),
  });
  assertEquals(await answerWith(mesh, challenge, "y"), "wrong-name");
});

Deno.test("an initiator refuses its own name, before it proves anything", async () => {
  await using mesh = await startPlainNode("a");
  const challenge = encodeChallenge({
    name: mesh.name,
    creation: 1,
    challenge: new Uint8Array(32),
    extension: rawIdentity("z"),
  });
  assertEquals(await answerWith(mesh, challenge), "duplicate-name");
});

Deno.test("an initiator refuses a message that is not a CHALLENGE", async () => {
  await using mesh = await startPlainNode("a");
  assertEquals(await answerWith(mesh, Uint8Array.of(4, ...new Uint8Array(32))), "malformed");
});

Deno.test("a recorded handshake is refused the next time", async () => {
  await using mesh = await startPlainNode("a");
  const self = rawIdentity("z@127.0.0.1:1");
  using recorded = await RawPeer.dial(mesh.address);
  const { name, reply } = await recorded.initiate(self);

  const refused = nextEvent(mesh, "refused");
  using replayed = await RawPeer.dial(mesh.address);
  await replayed.send(name);
  await replayed.expect();
  await replayed.send(reply);
  assertEquals(await replayed.receive(), null);
  assertEquals((await refused).code, "wrong-cookie");
  assertEquals(mesh.peers.length, 1);
});

Deno.test("a reflected handshake is refused: a node does not accept its own messages as a peer's", async () => {
  // The node dials a stranger, who sends everything back to the node's own door, and the answers
  // to the node: without the cookie, with every byte of it genuine.
  await using mesh = await startPlainNode("a");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connecting = assertRejects(
    () => mesh.connect(`127.0.0.1:${listener.addr.port}`),
    MeshError,
  );
  using dialled = new RawPeer(await listener.accept());
  using door = await RawPeer.dial(mesh.address);
  await relay(dialled, door);
  assertEquals((await connecting as MeshError).code, "own-name");
  assertEquals(mesh.peers, []);
});

Deno.test("a proof reflected to its maker, under another name, is refused", async () => {
  // The stranger calls itself z to both, and relays only challenges and proofs.
  await using mesh = await startPlainNode("a");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const z = rawIdentity("z@127.0.0.1:1");
  const refused = collect(mesh, "refused");
  const connecting = assertRejects(
    () => mesh.connect(`127.0.0.1:${listener.addr.port}`),
    MeshError,
  );
  using dialled = new RawPeer(await listener.accept());
  await dialled.receive(); // NAME of a
  using door = await RawPeer.dial(mesh.address);
  await door.send(encodeName({ name: z.name, creation: 1, extension: z }));
  const challenge = await door.expect();
  // The challenge that z would have to answer, put to a itself.
  await dialled.send(encodeChallenge({
    name: z.name,
    creation: 1,
    challenge: challenge.slice(-47, -15),
    extension: z,
  }));
  await door.send(await dialled.expect());
  assertEquals(await door.receive(), null);
  dialled.close();
  const error = await connecting as MeshError;
  assertEquals(error.code, "not-accepted");
  assertEquals(refused.map(({ code }) => code), ["wrong-cookie"]);
  assertEquals(mesh.peers, []);
});

/** Passes frames between two connections until both have ended. */
async function relay(one: RawPeer, two: RawPeer): Promise<void> {
  const oneWay = async (from: RawPeer, to: RawPeer) => {
    for (let frame = await from.receive(); frame !== null; frame = await from.receive()) {
      await to.send(frame).catch(() => {});
    }
    await to.connection.closeWrite().catch(() => {});
  };
  await Promise.all([oneWay(one, two), oneWay(two, one)]);
}

Deno.test("a connection that breaks during a write counts as closed, and keeps its cause", async () => {
  const cause = new Error("broken pipe");
  const { ends: [end] } = pipe();
  const connection = { ...end, write: () => Promise.reject(cause) };
  const error = await assertRejects(() =>
    initiate(connection, {
      self: { name: "a@h:1", incarnation: "00".repeat(8), features: 1 },
      allowMeshLang: false,
      cookies: new Cookies([COOKIE]),
      randomBytes: (size) => new Uint8Array(size),
      onIdentity: ignore,
    }), MeshError) as MeshError;
  assertEquals([error.code, error.cause], ["closed", cause]);
});
