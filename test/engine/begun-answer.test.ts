/** An answer that begins with tokens of an earlier one, as after the death of its engine: nothing of it changes. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { GenerationEvent, GenerationRequest } from '../../src/core/generation.ts';
import { requestFor, sharedEngine } from '../support/embedded-engine.ts';

interface Generated {
  readonly events: readonly GenerationEvent[];
  readonly tokens: readonly number[];
}

const { backend } = sharedEngine();

function generate(request: GenerationRequest, begunWith?: readonly number[]): Promise<Generated> {
  return new Promise((resolve, reject) => {
    const events: GenerationEvent[] = [];
    const generation = backend.generate(
      request,
      {
        event: (event) => {
          events.push(event);
          if (event.type === 'finish') resolve({ events, tokens: [...(generation.tokens ?? [])] });
        },
        fail: reject,
      },
      begunWith === undefined ? {} : { begunWith },
    );
  });
}

const textOf = ({ events }: Generated) =>
  events.map((event) => (event.type === 'text' ? event.text : '')).join('');
const usageOf = ({ events }: Generated) => {
  const end = events.at(-1);
  return end?.type === 'finish' ? end.usage : undefined;
};

describe('an answer that begins with tokens', () => {
  beforeAll(() => backend.warmUp({ signal: new AbortController().signal }));

  it('is the same answer, with the same events and usage, however many they are', async () => {
    const request = requestFor('Count: 🐻 one, two, three. Describe the sea.', { limits: { maxTokens: 24 } });
    const whole = await generate(request);
    expect(whole.tokens).toHaveLength(24);
    for (const count of [1, 11, 23]) {
      const begun = await generate(request, whole.tokens.slice(0, count));
      expect(textOf(begun)).toBe(textOf(whole));
      expect(begun.tokens).toEqual(whole.tokens);
      expect(usageOf(begun)).toMatchObject({
        promptTokens: usageOf(whole)?.promptTokens,
        completionTokens: 24,
      });
    }
  });

  it('counts its tokens for penalties and for its limits', async () => {
    const sampling = { temperature: 0, repeatPenalty: 1.6 };
    const request = requestFor('Repeat the word sea.', {
      sampling,
      limits: { maxTokens: 16, minTokens: 12 },
    });
    const whole = await generate(request);
    const begun = await generate(request, whole.tokens.slice(0, 9));
    expect(textOf(begun)).toBe(textOf(whole));
    expect(begun.tokens).toEqual(whole.tokens);
  });
});
