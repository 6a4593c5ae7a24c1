/**
 * The engine beside node-llama-cpp by itself (plain-evaluation.mjs): the same model file and raw prompts, on the same
 * machine. Token for token, but for a choice between tokens that are nearly as likely; log-probabilities as near as this
 * machine’s kernels are to themselves. How a prompt is split into tokens depends on no kernel: that is compared with what
 * llama.cpp’s own server answered (scripts/record-greedy.mjs).
 */
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/core/backend.ts';
import type { GenerationEvent } from '../../src/core/generation.ts';
import { embeddedEngine, modelPath, never, requestFor } from '../support/embedded-engine.ts';
import {
  disagreement,
  type EngineAnswer,
  type PlainAnswer,
  type Scored,
  toleranceOf,
} from '../support/exactness.ts';
import { pulled } from '../support/pulled-generation.ts';

const FOLDER = new URL('../fixtures/greedy/', import.meta.url);
const prompts = read<readonly { name: string; prompt: string }[]>('prompts.json');
const { answers: recorded } = read<{
  readonly answers: readonly { readonly name: string; readonly promptTokens: readonly number[] }[];
}>('llama-server.json');
/** Of each answer; a difference shows in the first few. */
const TOKENS = 16;

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as T;
}

async function plainAnswers(flashAttention: boolean): Promise<readonly PlainAnswer[]> {
  const path = fileURLToPath(new URL('../support/plain-evaluation.mjs', import.meta.url));
  const child = fork(path, [], { execArgv: [], env: { ...process.env, UV_THREADPOOL_SIZE: '1' } });
  const answers = new Promise<readonly PlainAnswer[]>((resolve, reject) => {
    child.once('message', (answer) => resolve(answer as readonly PlainAnswer[]));
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`The plain evaluation ended (${code ?? signal}).`)),
    );
  });
  child.send({ modelPath: await modelPath(), prompts, tokens: TOKENS, flashAttention });
  return answers.finally(() => child.kill());
}

type Answer = EngineAnswer & { readonly text: string; readonly promptTokens: number };

async function answer(backend: Backend, prompt: string): Promise<Answer> {
  const request = {
    ...requestFor(
      { raw: prompt },
      { sampling: { temperature: 0, repeatPenalty: 1 }, limits: { maxTokens: TOKENS } },
    ),
    logprobs: { top: 3 },
  };
  const events: GenerationEvent[] = [];
  for await (const event of pulled(backend, request, { signal: never() })) events.push(event);
  const texts = events.flatMap((event) => (event.type === 'text' ? [event] : []));
  const finish = events.at(-1);
  if (finish?.type !== 'finish') throw new Error('no finish');
  const scored = texts
    .flatMap((event) => event.logprobs ?? [])
    .map(
      ({ token, logprob, top }): Scored => ({
        token: token as number,
        logprob,
        top: top.map((one) => [one.token as number, one.logprob]),
      }),
    );
  return {
    scored,
    ended: finish.reason === 'stop',
    text: texts.map(({ text }) => text).join(''),
    promptTokens: finish.usage.promptTokens,
  };
}

interface Target {
  readonly slots: number;
  readonly flash_attention: boolean;
}

/** Registers the tests: greedy answers of an engine with these settings are those of the library by itself. */
export function describeExactness(title: string, target: Target): void {
  describe(title, () => {
    const { backend } = embeddedEngine({ context_size: 2048, ...target });
    const ours = new Map<string, Answer>();
    let plain: readonly PlainAnswer[] = [];

    beforeAll(async () => {
      plain = await plainAnswers(target.flash_attention);
      await backend.warmUp({ signal: never() });
      await Promise.all(
        prompts.map(async ({ name, prompt }) => void ours.set(name, await answer(backend, prompt))),
      );
    }, 1_800_000);

    it.each(recorded)('$name', ({ name, promptTokens }) => {
      const mine = ours.get(name) as Answer;
      const theirs = plain.find((one) => one.name === name) as PlainAnswer;
      expect(mine.text).not.toContain('\uFFFD');
      expect(theirs.promptTokens).toEqual(promptTokens);
      expect(mine.promptTokens).toBe(promptTokens.length);
      expect(disagreement(theirs, mine, toleranceOf(plain))).toBeUndefined();
    });
  });
}
