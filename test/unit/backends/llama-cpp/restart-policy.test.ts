import { expect, it } from 'vitest';
import { restartDelayMs } from '../../../../src/backends/llama-cpp/restart-policy.ts';

it('restarts at once the first time, then after doubling waits up to 30 seconds', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 8, 100].map(restartDelayMs)).toEqual([
    0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000,
  ]);
});
