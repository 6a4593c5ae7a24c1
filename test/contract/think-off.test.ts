/**
 * That a model is not to think, with every backend whose model does unless it is told not to: the answer has no reasoning, or the
 * backend refuses the wish by a name that serving drops and tells the client of. What is no more than a default is never refused.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { ScriptedBackend, scripted } from '../../src/backends/scripted/backend.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { ServingError } from '../../src/core/errors.ts';
import { withoutField } from '../../src/core/features.ts';
import { systemClock } from '../../src/system-clock.ts';
import { defaultsOf } from '../support/stand-ins/default-keys.ts';
import { chatRequest, generateAll, textOf, textRequest } from '../support/stand-ins/generate.ts';
import type { OpenAiStandInOptions } from '../support/stand-ins/openai-stand-in.ts';
import { runningOllama } from '../support/stand-ins/running-ollama.ts';
import { runningOpenAi } from '../support/stand-ins/running-openai.ts';

type Start = () => Promise<Backend>;

const thinks = (options: OpenAiStandInOptions): Start => {
  return async () => (await runningOpenAi({ reasoningField: 'reasoning_content', ...options })).backend;
};

const HONOUR: readonly (readonly [string, Start])[] = [
  ['scripted', startScripted],
  ['openai-compatible, vllm', thinks({})],
  ['openai-compatible, llama-server', thinks({ server: 'llama-server' })],
  ['openai-compatible, a server of unknown kind', thinks({ server: 'generic' })],
  ['ollama', async () => (await runningOllama({ thinks: true })).backend],
];

const CANNOT: readonly (readonly [string, Start])[] = [
  ['openai-compatible, vllm with a template without a switch', thinks({ refusesTemplateSwitch: true })],
  ...(['openai', 'openai-value', 'pydantic'] as const).map(
    (refusesEffort) =>
      [
        `openai-compatible, a server that refuses levels in the words of ${refusesEffort}`,
        thinks({ server: 'generic', refusesEffort }),
      ] as const,
  ),
  ['ollama, gpt-oss', async () => (await runningOllama({ thinks: true, alwaysThinks: 'family' })).backend],
  [
    'ollama, a model whose levels are listed',
    async () => (await runningOllama({ thinks: true, alwaysThinks: 'listed' })).backend,
  ],
  [
    'ollama, a release that lists no abilities',
    async () => (await runningOllama({ tellsCapabilities: false })).backend,
  ],
];

const { thinkingIsDefault: _, ...WISH } = chatRequest('hello there');

async function startScripted(): Promise<Backend> {
  const target = { ...defaultsOf(scripted), model: 'script', reasoning: 'Let me think.' };
  const backend = new ScriptedBackend(target, systemClock);
  onTestFinished(() => backend.close());
  return backend;
}

function hasReasoning({ events }: Awaited<ReturnType<typeof generateAll>>): boolean {
  return events.some(({ type }) => type === 'reasoning');
}

describe.each([...HONOUR, ...CANNOT])('%s', (_name, start) => {
  it('answers where not thinking is a default only, or a prompt has no place for it', async () => {
    const backend = await start();
    for (const request of [chatRequest('hello there'), textRequest('hello there', { thinking: false })]) {
      const answer = await generateAll(backend, request);
      expect(answer.error).toBeUndefined();
      expect(textOf(answer.events)).not.toBe('');
    }
  });
});

describe.each(HONOUR)('%s', (_name, start) => {
  it.each(['stream', 'whole'] as const)('does not think where a client says so, %s', async (delivery) => {
    const backend = await start();
    const { thinking: _left, ...left } = WISH;
    expect(hasReasoning(await generateAll(backend, left, undefined, { delivery }))).toBe(true);
    const answer = await generateAll(backend, WISH, undefined, { delivery });
    expect(answer.error).toBeUndefined();
    expect(hasReasoning(answer)).toBe(false);
  });
});

describe.each(CANNOT)('%s', (_name, start) => {
  it.each(['stream', 'whole'] as const)(
    'refuses the wish by a name that is dropped, %s',
    async (delivery) => {
      const backend = await start();
      const { error } = await generateAll(backend, WISH, undefined, { delivery });
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'think' });
      const lesser = withoutField(WISH, (error as ServingError).param ?? '', 'optional');
      if (lesser === undefined) throw new Error('The wish cannot be dropped.');
      expect((await generateAll(backend, lesser, undefined, { delivery })).error).toBeUndefined();
    },
  );
});
