import { describe, expect, it } from 'vitest';
import { TokenizerTurns } from '../../../../../src/backends/llama-cpp/engine/tokenizer-turns.ts';
import type { EngineTokenizerRequest } from '../../../../../src/backends/llama-cpp/messages.ts';

const TAKES_MS = 90;
const STEP_MS = 10;

function request(id: number): EngineTokenizerRequest {
  return { type: 'detokenize', id, tokens: [1] };
}

/** Each answer takes 90 ms, each step 10 ms. */
function engine() {
  const answered: number[] = [];
  let nowMs = 1000;
  let isStepping = false;
  const turns = new TokenizerTurns({
    answer: ({ id }) => {
      answered.push(id);
      nowMs += TAKES_MS;
    },
    isStepping: () => isStepping,
    now: () => nowMs,
  });
  return {
    ...{ turns, answered },
    step() {
      isStepping = true;
      turns.decoding();
      nowMs += STEP_MS;
    },
    rest() {
      isStepping = false;
      turns.rested();
    },
  };
}

describe('TokenizerTurns', () => {
  it('answers at once while nothing is generated', () => {
    const { turns, answered } = engine();
    for (const id of [1, 2, 3]) turns.add(request(id));
    expect(answered).toEqual([1, 2, 3]);
  });

  it('gives the steps as long as the last answer took before the next one', () => {
    const { turns, answered, step } = engine();
    step();
    turns.add(request(1));
    turns.add(request(2));
    expect(answered).toEqual([1]);
    let steps = 0;
    while (answered.length < 2) {
      step();
      steps += 1;
    }
    // The step in which its turn comes is one more than 90 ms of steps.
    expect(steps).toBe(TAKES_MS / STEP_MS + 1);
  });

  it('keeps the order of those that wait', () => {
    const { turns, answered, step } = engine();
    step();
    for (const id of [1, 2, 3]) turns.add(request(id));
    for (let steps = 0; steps < 30; steps += 1) step();
    expect(answered).toEqual([1, 2, 3]);
  });

  it('answers what waits when no step is due any more', () => {
    const { turns, answered, step, rest } = engine();
    step();
    for (const id of [1, 2, 3]) turns.add(request(id));
    rest();
    expect(answered).toEqual([1, 2, 3]);
  });
});
