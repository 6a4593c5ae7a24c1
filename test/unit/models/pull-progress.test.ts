import { expect, it } from 'vitest';
import type { DownloadProgress } from '../../../src/models/fetch.ts';
import { pullProgress } from '../../../src/models/pull-progress.ts';

const mark = (doneBytes: number): DownloadProgress => ({ label: 'm', doneBytes, totalBytes: 10 });

/** A fetch that a test leads by hand. */
function start(signal = new AbortController().signal) {
  const fetch = {
    progress: (_: DownloadProgress) => {},
    succeed: () => {},
    fail: (_: Error) => {},
    aborted: false,
  };
  const progress = pullProgress(({ signal: own, onProgress }) => {
    fetch.progress = onProgress;
    return new Promise<void>((resolve, reject) => {
      fetch.succeed = resolve;
      fetch.fail = reject;
      own.addEventListener('abort', () => {
        fetch.aborted = true;
        reject(own.reason);
      });
    });
  }, signal);
  return { fetch, progress };
}

it('tells each mark, the latest only where the reader lags, and ends with the fetch', async () => {
  const { fetch, progress } = start();
  const first = progress.next();
  fetch.progress(mark(1));
  expect((await first).value).toEqual(mark(1));
  fetch.progress(mark(2));
  fetch.progress(mark(3));
  expect((await progress.next()).value).toEqual(mark(3));
  const last = progress.next();
  fetch.succeed();
  expect((await last).done).toBe(true);
});

it('throws what the fetch throws, after the last mark', async () => {
  const { fetch, progress } = start();
  const first = progress.next();
  fetch.progress(mark(1));
  await first;
  const failed = progress.next();
  fetch.fail(new Error('no such file'));
  await expect(failed).rejects.toThrow('no such file');
});

it('a reader that leaves, or whose request is cancelled, aborts the fetch', async () => {
  const left = start();
  const first = left.progress.next();
  left.fetch.progress(mark(1));
  await first;
  await left.progress.return();
  expect(left.fetch.aborted).toBe(true);

  const cancellation = new AbortController();
  const cancelled = start(cancellation.signal);
  const pending = cancelled.progress.next();
  cancellation.abort(new Error('the client left'));
  await expect(pending).rejects.toThrow('the client left');
  expect(cancelled.fetch.aborted).toBe(true);
});
