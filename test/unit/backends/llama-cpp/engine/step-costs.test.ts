import { expect, it } from 'vitest';
import { StepCosts } from '../../../../../src/backends/llama-cpp/engine/step-costs.ts';
import { ThreadGovernor } from '../../../../../src/backends/llama-cpp/engine/thread-governor.ts';

it('compares a step with the fastest of its kind', () => {
  const costs = new StepCosts();
  expect(costs.relative(1, 10)).toBe(1);
  expect(costs.relative(64, 64)).toBe(1);
  expect(costs.relative(1, 25)).toBe(2.5);
  expect(costs.relative(50, 100)).toBe(2);
});

it('does not take long prompts between answers for a busy machine', () => {
  // On this one two threads are always better, and a token of a prompt costs a tenth of one of an answer.
  const takes = (threads: number, tokens: number) => (threads === 2 ? 8 + 0.9 * tokens : 12 + 1.8 * tokens);
  const costs = new StepCosts();
  const governor = new ThreadGovernor(2);
  let now = 0;
  let onOneThreadMs = 0;
  for (let request = 0; request < 60; request += 1) {
    for (const tokens of [...Array<number>(5).fill(64), ...Array<number>(100).fill(1)]) {
      const { threads } = governor;
      const durationMs = takes(threads, tokens);
      now += durationMs;
      if (threads === 1) onOneThreadMs += durationMs;
      governor.record(costs.relative(tokens, durationMs), now);
    }
  }
  expect(onOneThreadMs / now).toBeLessThan(0.02);
  expect(governor.threads).toBe(2);
});
