import { expect, test } from 'vitest';
import { StoreError } from '../../../src/core/store-error.ts';
import { onceStoreOpens } from '../../../src/workers/store-wait.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { recordingLog } from '../../support/fake-engine.ts';

function waiting(fails: (tries: number) => Error | undefined) {
  const clock = new FakeClock();
  const { log, lines } = recordingLog();
  const state = { tries: 0, isEnding: false };
  const started = onceStoreOpens(
    async () => {
      state.tries += 1;
      const error = fails(state.tries);
      if (error !== undefined) throw error;
      return 'started';
    },
    { clock, log, isEnding: () => state.isEnding },
  );
  started.catch(() => {});
  return { clock, lines, state, started };
}

const locked = () => new StoreError('unavailable', 'The store is locked.');

test('while the store cannot be reached it is tried twice a second, and said once', async () => {
  const { clock, lines, state, started } = waiting((tries) => (tries < 61 ? locked() : undefined));
  await clock.advance(29_900);
  expect(state.tries).toBe(60);
  await clock.advance(100);
  expect(await started).toBe('started');
  expect(lines.map(({ message }) => message)).toEqual([
    'The store is locked. This worker serves as soon as it can be opened.',
  ]);
});

test('what does not pass by itself is an end', async () => {
  const { started, clock } = waiting(() => new StoreError('corrupt', 'It is no database.'));
  await clock.settle();
  await expect(started).rejects.toThrow('It is no database.');
});

test('a server that ends does not wait for it', async () => {
  const { clock, state, started } = waiting(locked);
  await clock.advance(1000);
  state.isEnding = true;
  await clock.advance(500);
  expect(await started).toBeUndefined();
});
