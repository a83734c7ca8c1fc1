/**
 * A whole node, and a stranger who says anything and then hangs up or falls silent, on a simulated
 * network: dialling it, or dialled by it. Byte 0 of an input is what {@linkcode Setting} says. The node
 * must refuse the stranger with the code that the reference of the handshake comes to, or when its time
 * is over; it is told so once; then a member is let in, and after shutdown nothing is left.
 */

import { MeshError, type MeshErrorCode, startMesh } from "../../mesh/mod.ts";
import { type SimulatedHost, Simulation } from "../../testing/mod.ts";
import { HANDSHAKE_TARGETS, referenceOfStranger, SELF_NAME } from "./_handshake.ts";
import { check, checkSame, type Target } from "./_target.ts";

/** Bits of the first byte of an input. */
enum Setting {
  /** How the stream is cut, two bits: see {@linkcode CHUNK_BYTES}. */
  Cut = 3,
  HangsUp = 4,
  /** The node dials the stranger. */
  Dialled = 8,
}

const CHUNK_BYTES = [16 * 1024, 256, 32, 7];
const COOKIE = "correct horse battery staple";
const PORT = 9000;
const STRANGER = { hostname: "10.0.0.3", port: PORT };
const NODE = { hostname: "10.0.0.1", port: PORT };
/** What is under way is over by then, and the time for a handshake is not. */
const CALM_MS = 1_000;
const HANDSHAKE_TIMEOUT_MS = 5_000;

function expectedCode(script: Uint8Array, settings: number): MeshErrorCode {
  const role = settings & Setting.Dialled ? "initiator" : "acceptor";
  const { code, isAnswered } = referenceOfStranger(role, script);
  const waits = code === "closed" || code === "not-accepted" ||
    code === "peer-speaks-tls" && !isAnswered;
  if (waits && !(settings & Setting.HangsUp)) return "timeout";
  // Its incarnation is random, so that nobody else has it.
  return code === "own-name" ? "duplicate-name" : code;
}

/** Says it all, and does not listen. */
async function speak(
  host: SimulatedHost,
  script: Uint8Array,
  settings: number,
): Promise<() => void> {
  const { transport } = host.options;
  let connection;
  if (settings & Setting.Dialled) {
    const listener = await transport.listen(STRANGER);
    connection = await listener.accept();
    listener.close();
  } else connection = await transport.connect(NODE, { signal: new AbortController().signal });
  const buffer = new Uint8Array(256);
  const listening = (async () => {
    while (await connection.read(buffer) !== null);
  })();
  listening.catch(() => {});
  try {
    for (let at = 0; at < script.length;) at += await connection.write(script.subarray(at));
    if (settings & Setting.HangsUp) await connection.closeWrite();
  } catch {
    // It has been hung up on.
  }
  return () => connection.close();
}

async function run(input: Uint8Array): Promise<string> {
  const [settings = 0] = input;
  const script = input.slice(1);
  const expected = expectedCode(script, settings);
  const simulation = new Simulation({
    seed: settings,
    maxChunkBytes: CHUNK_BYTES[settings & Setting.Cut],
  });
  const [host, strangers, friends] = ["10.0.0.1", "10.0.0.3", "10.0.0.4"].map((name) =>
    simulation.startHost(name)
  );
  const node = await startMesh({ name: SELF_NAME, cookie: COOKIE, ...host.options });
  const codes: string[] = [];
  node.addEventListener("refused", ({ code }) => codes.push(code));
  const speaking = speak(strangers, script, settings);
  if (settings & Setting.Dialled) {
    node.connect(`${STRANGER.hostname}:${PORT}`).then(
      () => codes.push("linked"),
      (error) => codes.push(error instanceof MeshError ? error.code : String(error)),
    );
  }
  await simulation.run(CALM_MS);
  if (expected === "timeout") {
    checkSame(codes, [], "before its time is over");
    checkSame(host.connectionCount, 1, "connections before its time is over");
    await simulation.run(HANDSHAKE_TIMEOUT_MS);
  }
  checkSame(codes, [expected], "refused");
  checkSame([node.peers.length, host.connectionCount], [0, 0], "peers and connections");

  const seeds = [SELF_NAME];
  const friend = await startMesh({
    ...{ name: `friend@10.0.0.4:${PORT}`, cookie: COOKIE, seeds },
    ...friends.options,
  });
  await simulation.runUntil(() => node.peers.length === 1 && friend.peers.length === 1);
  await simulation.complete(Promise.all([node.shutdown(), friend.shutdown()]));
  const hangUp = await simulation.complete(speaking);
  hangUp();
  for (const { timerCount, connectionCount, listenerCount } of [host, friends]) {
    checkSame([timerCount, connectionCount, listenerCount], [0, 0, 0], "left after shutdown");
  }
  check(codes.length === 1, () => `refused again: ${codes}`);
  return `${settings & Setting.Dialled ? "dialled" : "dialling"}, ${expected}`;
}

/** What strangers say to either role, with these settings. */
function examples(): Uint8Array[] {
  const settings = [0, Setting.HangsUp, Setting.Dialled, Setting.Dialled | Setting.HangsUp];
  return HANDSHAKE_TARGETS.flatMap(({ examples }) =>
    examples.flatMap((example, i) => {
      const settled = example.slice();
      settled[0] = settings[i % settings.length] | i & Setting.Cut;
      return [settled];
    })
  );
}

export const STRANGER_TARGET: Target = {
  name: "stranger",
  framesFrom: 1,
  testSeeds: 400,
  examples: examples(),
  run,
};
