import { expect, it } from 'vitest';
import {
  type FileSource,
  type FileStatus,
  RESTS_FOR_MS,
  watchConfigFile,
} from '../../../src/cli/watch-file.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function watched() {
  const clock = new FakeClock();
  let report: (status: FileStatus) => void = () => {};
  let stopped = 0;
  let changes = 0;
  const source: FileSource = {
    watch: (_path, onStatus) => {
      report = onStatus;
      return () => {
        stopped += 1;
      };
    },
    schedule: (delayMs, run) => clock.schedule(delayMs, run),
  };
  const stop = watchConfigFile(source, 'llm-serve.yaml', () => {
    changes += 1;
  });
  return {
    clock,
    stop,
    report: (status: FileStatus) => report(status),
    changes: () => changes,
    stopped: () => stopped,
  };
}

const WRITTEN = { exists: true, sizeBytes: 10 };

it('a file that is written in several steps is read once, when it rests', async () => {
  const { clock, report, changes } = watched();
  for (let step = 0; step < 3; step += 1) {
    report(WRITTEN);
    await clock.advance(RESTS_FOR_MS - 1);
  }
  expect(changes()).toBe(0);
  await clock.advance(1);
  expect(changes()).toBe(1);
});

it('a file that is away or empty is being replaced, and not read', async () => {
  const { clock, report, changes } = watched();
  report(WRITTEN);
  report({ exists: false, sizeBytes: 0 });
  await clock.advance(RESTS_FOR_MS * 2);
  report({ exists: true, sizeBytes: 0 });
  await clock.advance(RESTS_FOR_MS * 2);
  expect(changes()).toBe(0);
  report(WRITTEN);
  await clock.advance(RESTS_FOR_MS);
  expect(changes()).toBe(1);
});

it('once it is ended, nothing is read', async () => {
  const { clock, report, stop, changes, stopped } = watched();
  report(WRITTEN);
  stop();
  await clock.advance(RESTS_FOR_MS);
  expect({ changes: changes(), stopped: stopped(), timers: clock.pendingTimers }).toEqual({
    changes: 0,
    stopped: 1,
    timers: 0,
  });
});
