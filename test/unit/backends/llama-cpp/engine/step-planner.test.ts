import { describe, expect, it } from 'vitest';
import { PromptBudget } from '../../../../../src/backends/llama-cpp/engine/step-planner.ts';

const MOST = 64;

/** A machine on which a step takes 6 ms and 3.5 ms more for each token. */
function learnt(): PromptBudget {
  const budget = new PromptBudget(MOST);
  budget.record({ answers: 0, promptTokens: 64, durationMs: 6 + 3.5 * 64 });
  for (const answers of [1, 3, 4, 16])
    budget.record({ answers, promptTokens: 0, durationMs: 6 + 3.5 * answers });
  return budget;
}

describe('PromptBudget', () => {
  it('is careful as long as nothing is known', () => {
    expect(new PromptBudget(MOST).besideAnswers({ running: 4, answers: 3 })).toBe(8);
  });

  it('keeps a step within two and a quarter times one in which all are answered', () => {
    // Four answers take 20 ms, so 45 are allowed: three answers take 16.5 of them, a token of the prompt 3.6.
    expect(learnt().besideAnswers({ running: 4, answers: 3 })).toBe(8);
    // Sixteen take 62, so 139.5 are allowed.
    expect(learnt().besideAnswers({ running: 16, answers: 3 })).toBe(34);
  });

  it('never takes more than the batch holds, and always gets on', () => {
    expect(learnt().besideAnswers({ running: 200, answers: 1 })).toBe(MOST);
    expect(learnt().besideAnswers({ running: 2, answers: 1 })).toBe(8);
  });

  it('does not let a prompt that gets slower allow itself more', () => {
    const budget = learnt();
    const before = budget.besideAnswers({ running: 16, answers: 3 });
    for (let step = 0; step < 100; step += 1)
      budget.record({ answers: 3, promptTokens: before, durationMs: 400 });
    expect(budget.besideAnswers({ running: 16, answers: 3 })).toBeLessThan(before);
  });
});
