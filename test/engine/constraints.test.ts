/** What binds an answer, on the real engine with the default model. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { GenerationRequest, RequestId } from '../../src/core/generation.ts';
import { DEFAULT_MODEL, never, sharedEngine } from '../support/embedded-engine.ts';
import { foldEvents, pulled } from '../support/pulled-generation.ts';

const { backend } = sharedEngine();
beforeAll(() => backend.warmUp({ signal: never() }));

const QUESTION = 'What is the capital of France?';
const tokensOf = (prompt: string) =>
  backend.tokenizer.encode({ input: { kind: 'text', prompt }, addSpecial: false }, { signal: never() });

let number = 0;
function ask(fields: Partial<GenerationRequest>, limits: Partial<GenerationRequest['limits']> = {}) {
  number += 1;
  const request: GenerationRequest = {
    id: `gen_${number}` as RequestId,
    model: DEFAULT_MODEL,
    input: { kind: 'chat', messages: [{ role: 'user', content: QUESTION }] },
    sampling: { temperature: 0 },
    limits: { stop: [], maxTokens: 16, ...limits },
    thinking: false,
    ...fields,
  };
  return foldEvents(pulled(backend, request, { signal: never() }));
}

const begun = (content: string) =>
  ({
    kind: 'chat',
    messages: [
      { role: 'user', content: QUESTION },
      { role: 'assistant', content },
    ],
    continuesLast: true,
  }) as const;

describe('an answer of the real engine', () => {
  it('continues what was begun for it, and holds to a form from there on', async () => {
    expect((await ask({ input: begun('The capital of France is') })).text).toMatch(/^ Paris/);
    const output = { kind: 'choice', choices: [' Paris', ' London'] } as const;
    expect(await ask({ input: begun('The capital of France is'), output })).toMatchObject({
      text: ' Paris',
      finishReason: 'stop',
    });
  });

  it('counts the prompt that is continued as it is', async () => {
    const input = begun('The capital of France is');
    const { usage } = await ask({ input }, { maxTokens: 1 });
    expect(await backend.tokenizer.encode({ input }, { signal: never() })).toHaveLength(usage.promptTokens);
  });

  it('ends at a stop token as it does at its end, but not before min_tokens', async () => {
    const [paris = -1] = await tokensOf(' Paris');
    const stopped = await ask({}, { stopTokens: [paris] });
    expect(stopped).toMatchObject({ text: 'The capital of France is', finishReason: 'stop' });
    const later = await ask({}, { stopTokens: [paris], minTokens: stopped.usage.completionTokens + 1 });
    expect(later.text).not.toContain('Paris');
    expect(later.usage.completionTokens).toBeGreaterThan(stopped.usage.completionTokens);
  });

  it('never says a bad word, of one token or of several', async () => {
    expect((await ask({})).text).toContain('capital of France');
    const one = await ask({ sampling: { temperature: 0, badWords: ['Paris'] } });
    expect(one.text).not.toContain('Paris');
    const several = await ask({ sampling: { temperature: 0, badWords: ['capital of'] } });
    expect(several.text).not.toContain('capital of');
  });

  it('refuses tokens that the model does not have', async () => {
    await expect(ask({}, { stopTokens: [10_000_000] })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'stop_token_ids',
    });
    await expect(ask({ input: { kind: 'tokens', tokens: [10_000_000] } })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'prompt',
    });
  });

  it('says that a thought cannot come after what was begun', async () => {
    await expect(ask({ input: begun('The'), thinking: true })).rejects.toMatchObject({
      code: 'unsupported_parameter',
      param: 'think',
    });
  });
});
