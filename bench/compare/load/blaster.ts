/**
 * Writes frames of 64 bytes to everybody who connects, so many in each write, as fast as it can: to
 * see how much the load generator takes in. Ends with its input.
 */

const PAYLOAD_BYTES = 64;
const TEXT = 0x81;
const [hostname, framesPerWrite] = Deno.args;

const frame = new Uint8Array(2 + PAYLOAD_BYTES).fill(0x78);
frame.set([TEXT, PAYLOAD_BYTES]);
const unit = new Uint8Array(frame.length * Number(framesPerWrite));
for (let at = 0; at < unit.length; at += frame.length) unit.set(frame, at);

async function blast(connection: Deno.Conn): Promise<void> {
  try {
    for (;;) {
      for (let at = 0; at < unit.length;) at += await connection.write(unit.subarray(at));
    }
  } catch {
    // It has been closed.
  }
}

const listener = Deno.listen({ hostname, port: 0 });
console.log(JSON.stringify({ port: listener.addr.port }));
Deno.stdin.readable.pipeTo(new WritableStream()).finally(() => Deno.exit());
for await (const connection of listener) void blast(connection);
