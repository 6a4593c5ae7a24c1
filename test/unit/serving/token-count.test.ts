import { describe, expect, it } from 'vitest';
import { TokenCount } from '../../../src/serving/token-count.ts';

const TEXT = { type: 'text', text: 'hi' } as const;

function finish(promptTokens: number, completionTokens: number) {
  return {
    type: 'finish',
    reason: 'stop',
    usage: { promptTokens, completionTokens, cachedTokens: 0 },
  } as const;
}

describe('what a generation used', () => {
  it('is nothing when its backend never had it', () => {
    const used = new TokenCount();
    expect([used.promptTokens, used.answerTokens]).toEqual([0, 0]);
  });

  it('is the estimated prompt when it ended before the backend said anything', () => {
    const used = new TokenCount();
    used.begin(7);
    expect([used.promptTokens, used.answerTokens]).toEqual([7, 0]);
  });

  it('is what came so far when it was cut off', () => {
    const used = new TokenCount();
    used.begin(7);
    used.note({ type: 'start', promptTokens: 9 });
    used.note(TEXT);
    used.note({ type: 'reasoning', text: 'hm' });
    expect([used.promptTokens, used.answerTokens]).toEqual([9, 2]);
  });

  it('has the pieces of a tool call in it', () => {
    const used = new TokenCount();
    used.begin(7);
    used.note({ type: 'tool-call', index: 0, id: 'call_1', name: 'clock' });
    used.note({ type: 'tool-arguments', index: 0, delta: '{"zone":' });
    used.note({ type: 'tool-arguments', index: 0, delta: '"UTC"}' });
    expect([used.promptTokens, used.answerTokens]).toEqual([7, 3]);
  });

  it('is what the backend counted when it finished', () => {
    const used = new TokenCount();
    used.begin(7);
    used.note(TEXT);
    used.note(finish(11, 5));
    expect([used.promptTokens, used.answerTokens]).toEqual([11, 5]);
  });

  it('tells what of the prompt was cached, as soon as the backend does', () => {
    const used = new TokenCount();
    used.begin(7);
    used.note({ type: 'start', promptTokens: 9, cachedTokens: 6 });
    expect(used.cachedTokens).toBe(6);
    used.note(finish(11, 5));
    expect(used.cachedTokens).toBe(6);
  });

  it('is counted here where the backend does not count', () => {
    const used = new TokenCount();
    used.begin(7);
    used.note(TEXT);
    used.note(finish(0, 0));
    expect([used.promptTokens, used.answerTokens]).toEqual([7, 1]);
  });
});
