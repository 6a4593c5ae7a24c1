/** A model file on its way, as progress that can be read: one mark after the other, the latest only where the reader lags. */
import type { DownloadProgress } from './fetch.ts';

/** Ends when `fetch` has; throws what it throws. A reader that leaves aborts it. */
export async function* pullProgress(
  fetch: (options: {
    readonly signal: AbortSignal;
    readonly onProgress: (progress: DownloadProgress) => void;
  }) => Promise<unknown>,
  signal: AbortSignal,
): AsyncGenerator<DownloadProgress, void> {
  const leaving = new AbortController();
  const onAbort = () => leaving.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  let latest: DownloadProgress | undefined;
  let wake = () => {};
  let over = false;
  const fetched = fetch({
    signal: leaving.signal,
    onProgress: (progress) => {
      latest = progress;
      wake();
    },
  }).finally(() => {
    over = true;
    wake();
  });
  fetched.catch(() => {});
  try {
    if (signal.aborted) onAbort();
    while (!over) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (latest !== undefined || over) resolve();
      });
      const progress = latest;
      latest = undefined;
      if (progress !== undefined) yield progress;
    }
    await fetched;
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (!over) leaving.abort(signal.reason ?? new Error('nobody waits for it any more'));
  }
}
