/**
 * The load of one contender, as a process of its own: clients that are raw sockets, and count frames. It is told what to do on its standard input and answers on its standard output, a JSON
 * value a line, and ends with its input.
 */

import { absorb } from "./absorb.ts";
import { Crowd } from "./crowd.ts";
import { lines, toLine } from "./lines.ts";
import type { LoadOrder } from "./orders.ts";

const IDLE_MS = 1_000;

let crowd: Crowd | undefined;

function people(): Crowd {
  if (!crowd) throw new Error("nobody is connected");
  return crowd;
}

function run(order: LoadOrder): unknown {
  switch (order.op) {
    case "open":
      crowd = new Crowd(order);
      return {};
    case "join":
      return people().join(order);
    case "settle":
      return people().settle(order.timeoutMs);
    case "saturate":
      return people().saturate(order);
    case "pace":
      return people().pace(order);
    case "pause":
      return people().pause(order.client);
    case "resume":
      return people().resume(order.client);
    case "reopen":
      return people().reopen(order.node, order.port);
    case "probe":
      return people().probe(order);
    case "flood":
      return people().flood(order);
    case "absorb":
      return absorb(order);
    case "close":
      crowd?.close();
      crowd = undefined;
      return {};
  }
}

// Between orders, so that nobody is taken for dead.
const idle = setInterval(() => crowd?.idle(), IDLE_MS);

for await (const line of lines(Deno.stdin.readable)) {
  const order: LoadOrder = JSON.parse(line);
  let answer: unknown;
  try {
    answer = { result: run(order) ?? {} };
  } catch (error) {
    answer = { error: error instanceof Error ? error.message : String(error) };
  }
  // Nobody may be there any more.
  await Deno.stdout.write(toLine(answer)).catch(() => Deno.exit());
}
clearInterval(idle);
