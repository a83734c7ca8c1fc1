import { clearTimeout, setTimeout } from "node:timers";
import type { Timers } from "../backplane/clock.ts";
import { describeEvent, LOGGED_TYPES } from "./_describe_event.ts";

/** How long repeated events are counted before a line sums them up. */
const SUM_UP_MS = 10_000;

/**
 * Kinds of events that are told apart by address. A stranger can connect from any number of ports,
 * so beyond these only the type and the code count.
 */
const MAX_KINDS = 16;

/** A log must not keep a process alive. */
const backgroundTimers: Timers = {
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs).unref(),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/** Options of {@linkcode logEvents}. */
export interface LogEventsOptions {
  /** Default: the platform's, which do not keep the process alive. */
  timers?: Timers;
}

/**
 * Logs the events of a mesh, of a broker's backplane or of `Rooms`: one line for each event. When
 * events repeat, the first is logged at once, and one line every 10 s sums up the others.
 *
 * | source | events |
 * | --- | --- |
 * | mesh | `peerup`, `peerdown`, `refused`, `malformed`, `overflow`, `missed`, `unsupported` |
 * | broker | `up`, `down`, `refused`, `malformed`, `overflow`, `missed` |
 * | `Rooms` | `slow`, `missed` |
 *
 * @param log writes a line. Default: `console.log`.
 * @returns ends the log when it is disposed, after a line for what has been counted.
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
  /** For each kind that was logged in this period: how often it came again, and its last line. */
  const kinds = new Map<string, { repeats: number; line: string }>();
  let timer: unknown;

  const onEvent = (event: Event) => {
    const { kind, address, text } = describeEvent(event);
    const line = `roomcast: ${text}`;
    const full = `${kind} ${address}`;
    const key = kinds.size < MAX_KINDS || kinds.has(full) ? full : kind;
    const known = kinds.get(key);
    if (known === undefined) {
      kinds.set(key, { repeats: 0, line });
      log(line);
      timer ??= timers.setTimeout(onPeriod, SUM_UP_MS);
    } else {
      known.repeats++;
      known.line = line;
    }
  };
  const sumUp = () => {
    for (const [key, { repeats, line }] of [...kinds]) {
      if (repeats === 0) {
        kinds.delete(key);
        continue;
      }
      log(repeats === 1 ? line : `${line} (and ${repeats - 1} more like this)`);
      kinds.set(key, { repeats: 0, line });
    }
  };
  const onPeriod = () => {
    timer = undefined;
    sumUp();
    // A kind that goes on gets a line per period, and is forgotten after a period of quiet.
    if (kinds.size > 0) timer = timers.setTimeout(onPeriod, SUM_UP_MS);
  };

  for (const type of LOGGED_TYPES) source.addEventListener(type, onEvent);
  return {
    [Symbol.dispose]() {
      for (const type of LOGGED_TYPES) source.removeEventListener(type, onEvent);
      timers.clearTimeout(timer);
      timer = undefined;
      sumUp();
      kinds.clear();
    },
  };
}
