/** Takes an error of foreign code, which must neither end the process nor be lost. Never throws. */
export type OnError = (error: unknown) => void;

/**
 * Makes an {@linkcode OnError} from the application's function. If that function fails, its error
 * is printed. Not `reportError`, which ends the process in Deno.
 */
export function guardOnError(onError: ((error: unknown) => unknown) | undefined): OnError {
  if (onError === undefined) return printError;
  return (error) => guarded(() => onError(error), printError);
}

/** Calls foreign code, and passes on what it throws or what its promise rejects with. */
export function guarded(call: () => unknown, onError: OnError): void {
  try {
    const result = call();
    if (isThenable(result)) result.then(undefined, onError);
  } catch (error) {
    onError(error);
  }
}

/** Prints an error: what is done with those that nobody else takes. */
export function printError(error: unknown): void {
  console.error("roomcast: an error in a handler, a listener or a backplane:", error);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value &&
    typeof value.then === "function";
}
