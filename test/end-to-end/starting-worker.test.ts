/** The built program of a worker, before it is told what to serve. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/system-clock.ts';
import type { ToControl } from '../../src/workers/messages.ts';
import { WorkerProcess } from '../../src/workers/worker-process.ts';

const WORKER_PATH = fileURLToPath(new URL('../../dist/cli/worker.js', import.meta.url));

test('a worker that has not been composed yet answers pings: it starts, it does not hang', async () => {
  const heard: ToControl[] = [];
  const ended = new Promise<string>((onEnd) => {
    const worker = new WorkerProcess({
      clock: systemClock,
      path: WORKER_PATH,
      environment: process.env,
      onMessage: (message) => {
        heard.push(message);
        worker.kill('the test is over');
      },
      onEnd,
      onOutput: () => {},
      onErrorOutput: () => {},
    });
    worker.ping();
  });
  expect(await ended).toBe('the test is over');
  expect(heard).toEqual([{ type: 'alive' }]);
});
