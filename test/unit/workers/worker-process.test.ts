/** With a real process at the other end: what the system and Node make of its end is the point. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/system-clock.ts';
import type { ToControl } from '../../../src/workers/messages.ts';
import { WorkerProcess } from '../../../src/workers/worker-process.ts';
import { processState } from '../../support/process-table.ts';

test('what a worker has said before it died is heard, also where something is sent to it before that is read', async () => {
  const heard: ToControl[] = [];
  const ended = new Promise<string>((resolve) => {
    const worker = new WorkerProcess({
      clock: systemClock,
      path: fileURLToPath(new URL('../../support/last-words.mjs', import.meta.url)),
      environment: process.env,
      onMessage: (message) => heard.push(message),
      onEnd: resolve,
      onOutput: () => {},
      onErrorOutput: () => {},
    });
    worker.send({ type: 'all-idle' });
    systemClock.atEndOfTurn(() => {
      // In one turn of this process, the other one reads, speaks and dies.
      while (!['Z', ''].includes(processState(worker.pid)));
      worker.send({ type: 'all-idle' });
    });
  });
  expect(await ended).toBe('it was ended by SIGKILL');
  expect(heard).toEqual([{ type: 'connection-taken', id: 1 }]);
});
