/**
 * The engine beside llama.cpp’s own server: the same model file, the same raw prompts, recorded by
 * scripts/record-greedy.mjs. Token for token, whoever else is being answered meanwhile.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GenerationEvent, TokenLogprob } from '../../../../src/core/generation.ts';
import { embeddedEngine, never, requestFor } from '../../../support/embedded-engine.ts';

interface Recorded {
  readonly tokens: number;
  readonly answers: readonly {
    readonly name: string;
    readonly promptTokens: readonly number[];
    readonly tokens: readonly number[];
    readonly text: string;
    readonly logprobs: readonly {
      readonly token: number;
      readonly bytes: readonly number[];
      readonly logprob: number;
      readonly top: readonly (readonly [token: number, logprob: number])[];
    }[];
  }[];
}

const FOLDER = new URL('../../../fixtures/greedy/', import.meta.url);
const prompts = read<readonly { name: string; prompt: string }[]>('prompts.json');
const recorded = read<Recorded>('llama-server.json');
const LOGPROB_WITHIN = 0.05;
const { backend } = embeddedEngine({ slots: 16, context_size: 2048 });

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as T;
}

async function answer(prompt: string, maxTokens = recorded.tokens) {
  const request = {
    ...requestFor({ raw: prompt }, { sampling: { temperature: 0, repeatPenalty: 1 }, limits: { maxTokens } }),
    logprobs: { top: 3 },
  };
  const events: GenerationEvent[] = [];
  for await (const event of backend.generate(request, { signal: never() })) events.push(event);
  const texts = events.flatMap((event) => (event.type === 'text' ? [event] : []));
  const finish = events.at(-1);
  if (finish?.type !== 'finish') throw new Error('no finish');
  const logprobs: TokenLogprob[] = texts.flatMap((event) => event.logprobs ?? []);
  return { text: texts.map(({ text }) => text).join(''), logprobs, usage: finish.usage };
}

beforeAll(() => backend.warmUp({ signal: never() }));

describe('greedy answers are those of llama.cpp’s server', () => {
  // All at once: each is answered in a crowd.
  const answers = new Map<string, ReturnType<typeof answer>>();
  beforeAll(() => {
    for (const { name, prompt } of prompts) {
      const promise = answer(prompt);
      promise.catch(() => {});
      answers.set(name, promise);
    }
  });

  it.each(recorded.answers)('$name', async ({ name, promptTokens, tokens, text, logprobs }) => {
    const ours = await (answers.get(name) as ReturnType<typeof answer>);
    expect(ours.text).not.toContain('\uFFFD');
    expect(ours.usage.promptTokens).toBe(promptTokens.length);
    // A character that is not complete at the last token is not shown.
    expect(text.startsWith(ours.text)).toBe(true);
    expect(ours.logprobs.map(({ token }) => token)).toEqual(tokens.slice(0, ours.logprobs.length));
    expect(ours.logprobs.length).toBeGreaterThanOrEqual(tokens.length - 3);
    for (const [index, expected] of logprobs.entries()) {
      const mine = ours.logprobs[index] as TokenLogprob;
      expect(mine.bytes).toEqual(expected.bytes);
      expect(Math.abs(mine.logprob - expected.logprob)).toBeLessThan(LOGPROB_WITHIN);
      expect(mine.top.map(({ token }) => token)).toHaveLength(expected.top.length);
      for (const [place, [, logprob]] of expected.top.entries()) {
        expect(Math.abs((mine.top[place]?.logprob ?? 0) - logprob)).toBeLessThan(LOGPROB_WITHIN);
      }
    }
  }, 240_000);
});
