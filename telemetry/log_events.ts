import { checkFunction, checkMethods } from "../backplane/checks.ts";
import { backgroundTimers, type Timers } from "../backplane/clock.ts";
import { describeEvent, LOGGED_TYPES } from "./_describe_event.ts";

/** A flood is more than this many events of one kind ... */
const MAX_LINES = 5;

/** ... in this time. A line sums up the others at its end. */
const PERIOD_MS = 10_000;

/**
 * Kinds of events that are told apart by address. A stranger can connect from any number of ports,
 * so further kinds are told apart only by type and code.
 */
const MAX_KINDS = 16;

/** Options of {@linkcode logEvents}. */
export interface LogEventsOptions {
  /** Default: the platform's, which do not keep the process alive. */
  timers?: Timers;
}

/**
 * Logs the events of a mesh, of a broker's backplane or of `Rooms`: one line for each event. During
 * a flood, it writes five lines at once, and then one line every 10 s that sums up the others.
 *
 * | source | events |
 * | --- | --- |
 * | mesh | `peerup`, `peerdown`, `refused`, `malformed`, `overflow`, `missed`, `unsupported` |
 * | broker | `up`, `down`, `refused`, `malformed`, `overflow`, `missed` |
 * | `Rooms` | `slow`, `missed` |
 *
 * @param log writes a line. Default: `console.log`.
 * @throws {TypeError} if `source` is no event target or `log` no function.
 * @returns a handle that ends the log when it is disposed, after summing up what has been counted.
 *
 * @example
 * ```ts
 * import { startMesh } from "@roomcast/roomcast/mesh";
 * import { logEvents } from "@roomcast/roomcast/telemetry";
 *
 * const cookie = "a secret of at least 16 bytes";
 * await using mesh = await startMesh({ name: "a@127.0.0.1:0", cookie });
 * using _log = logEvents(mesh, (line) => console.error(line));
 * ```
 */
export function logEvents(
  source: EventTarget,
  log: (line: string) => void = console.log,
  { timers = backgroundTimers }: LogEventsOptions = {},
): Disposable {
  checkMethods("source", source, "addEventListener", "removeEventListener");
  checkFunction("log", log);
  /** For each kind of event in this period: how many came, and the line of the last. */
  const kinds = new Map<string, { count: number; line: string }>();
  let timer: unknown;

  const onEvent = (event: Event) => {
    const { kind, address, text } = describeEvent(event);
    const line = `roomcast: ${text}`;
    const full = `${kind} ${address}`;
    const key = kinds.size < MAX_KINDS || kinds.has(full) ? full : kind;
    const count = (kinds.get(key)?.count ?? 0) + 1;
    kinds.set(key, { count, line });
    if (count <= MAX_LINES) log(line);
    timer ??= timers.setTimeout(onPeriod, PERIOD_MS);
  };
  const sumUp = () => {
    for (const [key, { count, line }] of [...kinds]) {
      if (count <= MAX_LINES) {
        kinds.delete(key);
        continue;
      }
      const more = count - MAX_LINES - 1;
      log(more === 0 ? line : `${line} (and ${more} more like this)`);
      // A flood that goes on has had its lines already.
      kinds.set(key, { count: MAX_LINES, line });
    }
  };
  const onPeriod = () => {
    timer = undefined;
    sumUp();
    // A flood that goes on gets a line per period. It is over after a period of quiet.
    if (kinds.size > 0) timer = timers.setTimeout(onPeriod, PERIOD_MS);
  };

  // The cast is for programs that have the types of Node.js beside those of Deno.
  const listener = onEvent as Parameters<EventTarget["addEventListener"]>[1];
  for (const type of LOGGED_TYPES) source.addEventListener(type, listener);
  return {
    [Symbol.dispose]() {
      for (const type of LOGGED_TYPES) source.removeEventListener(type, listener);
      timers.clearTimeout(timer);
      timer = undefined;
      sumUp();
      kinds.clear();
    },
  };
}
