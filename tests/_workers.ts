/** Work shared out among workers, one for each core unless told otherwise. */

/** What a worker answers: the result of a job, or what it has thrown. */
export type Answer<Result> = { readonly result: Result } | { readonly thrown: string };

/**
 * Has workers do one job after the other, as long as `next` gives any. A job goes to the first worker
 * that is free, and `onResult` gets results in whatever order they come; false ends the work.
 *
 * @throws {Error} what a worker has thrown.
 */
export async function shareOut<Job, Result>(options: {
  readonly script: URL;
  readonly workers: number;
  readonly next: () => Job | undefined;
  readonly onResult: (result: Result) => boolean;
}): Promise<void> {
  const { script, next, onResult } = options;
  let isOver = false;
  const runOne = async () => {
    const worker = new Worker(script, { type: "module" });
    try {
      for (let job = next(); job !== undefined && !isOver; job = next()) {
        const answer = await ask<Job, Result>(worker, job);
        if ("thrown" in answer) throw new Error(answer.thrown);
        if (!onResult(answer.result)) isOver = true;
      }
    } finally {
      worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: options.workers }, runOne));
}

function ask<Job, Result>(worker: Worker, job: Job): Promise<Answer<Result>> {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<Answer<Result>>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      resolve({ thrown: event.message });
    };
    worker.postMessage(job);
  });
}

/** In a worker: does the jobs that come. */
export function doJobs<Job, Result>(run: (job: Job) => Promise<Result>): void {
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent<Job>) => void;
    postMessage(answer: Answer<Result>): void;
  };
  scope.onmessage = ({ data }) => {
    run(data).then(
      (result) => scope.postMessage({ result }),
      (error) =>
        scope.postMessage({ thrown: error instanceof Error ? error.stack ?? "" : `${error}` }),
    );
  };
}
