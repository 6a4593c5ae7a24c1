/**
 * The engine beside llama.cpp’s own server: the same model file, the same raw prompts, recorded by
 * scripts/record-greedy.mjs. With the same arithmetic token for token; where the versions’ kernels differ, or in a crowd,
 * where steps are summed up in another order, up to a choice between tokens that are nearly as likely.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LlamaCppTarget } from '../../../../src/backends/llama-cpp/backend.ts';
import type { Backend } from '../../../../src/core/backend.ts';
import type { GenerationEvent, TokenLogprob } from '../../../../src/core/generation.ts';
import { embeddedEngine, never, requestFor } from '../../../support/embedded-engine.ts';

interface Recorded {
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

type RecordedAnswer = Recorded['answers'][number];

const FOLDER = new URL('../../../fixtures/greedy/', import.meta.url);
const prompts = read<readonly { name: string; prompt: string }[]>('prompts.json');
/** Of what was recorded; a difference shows in the first few. */
const TOKENS = 24;
/** The same arithmetic in both, but for the last bits of what is shown. */
const SAME_WITHIN = 0.002;
/** How far the two versions’ kernels of flash attention are apart, in log-probability. */
const KERNELS_WITHIN = 0.35;

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as T;
}

async function answer(backend: Backend, prompt: string, maxTokens: number) {
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

type Answer = Awaited<ReturnType<typeof answer>>;

/** One slot: one after the other. Sixteen: each in a crowd. */
function answersOf(target: Pick<LlamaCppTarget, 'slots' | 'flash_attention'>) {
  const { backend } = embeddedEngine({ context_size: 2048, ...target });
  const answers = new Map<string, Promise<Answer>>();
  beforeAll(async () => {
    await backend.warmUp({ signal: never() });
    for (const { name, prompt } of prompts) answers.set(name, answer(backend, prompt, TOKENS));
    await Promise.allSettled(answers.values());
  }, 400_000);
  return (name: string) => answers.get(name) as Promise<Answer>;
}

function expectSamePrompt(ours: Answer, { promptTokens }: RecordedAnswer): void {
  expect(ours.text).not.toContain('\uFFFD');
  expect(ours.usage.promptTokens).toBe(promptTokens.length);
}

describe('without flash attention, greedy answers are those of llama.cpp’s server', () => {
  const recorded = read<Recorded>('plain-attention.json');
  const ours = answersOf({ slots: 1, flash_attention: false });

  it.each(recorded.answers)('$name', async (theirs) => {
    const mine = await ours(theirs.name);
    expectSamePrompt(mine, theirs);
    // The text of a last token that is a part of a character is not shown, and neither is its log-probability.
    expect(mine.logprobs.map(({ token }) => token)).toEqual(theirs.tokens.slice(0, mine.logprobs.length));
    expect(mine.logprobs.length).toBeGreaterThanOrEqual(Math.min(TOKENS, theirs.tokens.length) - 3);
    expect(theirs.text.startsWith(mine.text)).toBe(true);
    let next = 0;
    for (const expected of theirs.logprobs) {
      // The server tells a character of several tokens with the last of them.
      const bytes: number[] = [];
      let last: TokenLogprob | undefined;
      while (bytes.length < expected.bytes.length) {
        last = mine.logprobs[next] as TokenLogprob;
        bytes.push(...last.bytes);
        next += 1;
      }
      expect(bytes).toEqual(expected.bytes);
      expect(last?.token).toBe(expected.token);
      const { logprob, top } = last as TokenLogprob;
      expect(Math.abs(logprob - expected.logprob)).toBeLessThan(SAME_WITHIN);
      expect(top.map(({ token }) => token)).toEqual(expected.top.map(([token]) => token));
      for (const [place, [, value]] of expected.top.entries()) {
        expect(Math.abs((top[place]?.logprob ?? 0) - value)).toBeLessThan(SAME_WITHIN);
      }
    }
  });
});

describe('with flash attention and in a crowd, they are so up to a choice between near equals', () => {
  const recorded = read<Recorded>('flash-attention.json');
  const ours = answersOf({ slots: 16, flash_attention: true });

  it.each(recorded.answers)('$name', async (theirs) => {
    const mine = await ours(theirs.name);
    expectSamePrompt(mine, theirs);
    const parting = mine.logprobs.find(({ token }, index) => token !== theirs.tokens[index]);
    if (parting === undefined) return;
    const other = theirs.tokens[mine.logprobs.indexOf(parting)];
    const near = parting.top.find(({ token }) => token === other);
    expect(near, `${other} is not among the three likeliest`).toBeDefined();
    expect(parting.logprob - (near?.logprob ?? 0)).toBeLessThan(KERNELS_WITHIN);
  });
});
