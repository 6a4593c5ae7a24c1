import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { RequestId } from '../../../src/core/generation.ts';
import type { ParseContext } from '../../../src/protocols/generation-route.ts';
import { parseGenerate } from '../../../src/protocols/native/parse.ts';

const context: ParseContext = {
  requestId: 'gen_1' as RequestId,
  defaultModel: 'm',
  requireModel: (model) => {
    if (model !== 'm') throw new ServingError('model_not_found', { param: 'model' });
    return { contextSize: 1000 };
  },
  defaultMaxTokens: 256,
};
const parse = (body: unknown, changes: Partial<ParseContext> = {}) =>
  parseGenerate('whole')(body, { ...context, ...changes });

function refusal(body: unknown): { param: string | undefined; message: string } {
  try {
    parse(body);
  } catch (error) {
    if (error instanceof ServingError) return { param: error.param, message: error.message };
    throw error;
  }
  throw new Error('was accepted');
}

describe('a native body', () => {
  it('becomes a request: a prompt is one user message', () => {
    expect(parse({ prompt: 'hi' }).request).toEqual({
      id: 'gen_1',
      model: 'm',
      input: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] },
      sampling: {},
      limits: { maxTokens: 256, maxTokensIsDefault: true, stop: [] },
      thinking: false,
    });
  });

  it('carries every field', () => {
    const parsed = parse({
      prompt: 'hi',
      system: 'be brief',
      model: 'm',
      max_tokens: 9,
      temperature: 0,
      top_p: 0.5,
      top_k: 0,
      min_p: 0.1,
      seed: 2147483647,
      presence_penalty: -2,
      frequency_penalty: 2,
      repeat_penalty: 1.1,
      stop: 'x',
      think: 'low',
      timeout_ms: 5,
    });
    expect(parsed).toMatchObject({
      timeoutMs: 5,
      request: {
        input: {
          messages: [
            { role: 'system', content: 'be brief' },
            { role: 'user', content: 'hi' },
          ],
        },
        sampling: {
          temperature: 0,
          topP: 0.5,
          topK: 0,
          minP: 0.1,
          seed: 2147483647,
          presencePenalty: -2,
          frequencyPenalty: 2,
          repeatPenalty: 1.1,
        },
        limits: { maxTokens: 9, stop: ['x'] },
        thinking: 'low',
      },
    });
  });

  it('may be a conversation, or raw', () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: '' },
    ];
    expect(parse({ messages }).request.input).toEqual({ kind: 'chat', messages });
    expect(parse({ prompt: '<s>', raw: true }).request.input).toEqual({ kind: 'text', prompt: '<s>' });
  });

  it('gets its default of max_tokens lowered to a small context', () => {
    const small = { requireModel: () => ({ contextSize: 100 }) };
    expect(parse({ prompt: 'a' }, small).request.limits.maxTokens).toBe(100);
  });

  it.each([
    [{}, 'prompt', 'prompt is missing'],
    [{ prompt: '' }, 'prompt', 'prompt is "", but must be a string of at least 1 character.'],
    [{ prompt: 5 }, 'prompt', 'prompt is 5, but must be a string'],
    [{ prompt: 'a', messages: [{ role: 'user', content: 'b' }] }, 'messages', 'exactly one'],
    [{ messages: [] }, 'messages', 'a list of at least 1 entry'],
    [
      { messages: [{ role: 'tool', content: '' }] },
      'messages[0].role',
      'messages[0].role is "tool", but must be one of "system", "user", "assistant".',
    ],
    [
      { messages: [{ role: 'user' }] },
      'messages[0].content',
      'messages[0].content is missing. It must be a string.',
    ],
    [
      { messages: [{ role: 'user', content: 'a', name: 'x' }] },
      'messages[0].name',
      'messages[0].name is not known.',
    ],
    [{ messages: [{ role: 'user', content: 'a' }], system: 's' }, 'system', 'only allowed with prompt'],
    [{ messages: [{ role: 'user', content: 'a' }], raw: true }, 'raw', 'only allowed with prompt'],
    [{ prompt: 'a', raw: true, system: 's' }, 'system', 'not allowed with raw'],
    [{ prompt: 'a', colour: 1 }, 'colour', 'colour is not known.'],
    [{ prompt: 'a', constructor: 1 }, 'constructor', 'constructor is not known.'],
    [{ prompt: 'a', max_tokens: 0 }, 'max_tokens', 'max_tokens is 0, but must be an integer of at least 1.'],
    [{ prompt: 'a', max_tokens: 1.5 }, 'max_tokens', 'must be an integer'],
    [{ prompt: 'a', max_tokens: '3' }, 'max_tokens', 'max_tokens is "3"'],
    [{ prompt: 'a', max_tokens: 1001 }, 'max_tokens', 'at most 1000'],
    [
      { prompt: 'a', temperature: 2.1 },
      'temperature',
      'temperature is 2.1, but must be a number from 0 to 2.',
    ],
    [{ prompt: 'a', top_p: 0 }, 'top_p', 'top_p is 0, but must be a number above 0 and at most 1.'],
    [{ prompt: 'a', top_k: -1 }, 'top_k', 'top_k is -1'],
    [{ prompt: 'a', min_p: 2 }, 'min_p', 'from 0 to 1'],
    [{ prompt: 'a', seed: 2147483648 }, 'seed', 'from 0 to 2147483647'],
    [{ prompt: 'a', seed: null }, 'seed', 'seed is null'],
    [{ prompt: 'a', presence_penalty: 3 }, 'presence_penalty', 'from -2 to 2'],
    [{ prompt: 'a', frequency_penalty: 'x' }, 'frequency_penalty', 'a number'],
    [{ prompt: 'a', repeat_penalty: 0 }, 'repeat_penalty', 'above 0 and at most 2'],
    [{ prompt: 'a', stop: '' }, 'stop', 'stop is ""'],
    [{ prompt: 'a', stop: ['a', ''] }, 'stop', 'at least 1 character'],
    [{ prompt: 'a', stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', 'at most 4 entries'],
    [{ prompt: 'a', think: 'much' }, 'think', 'true or false or one of "low", "medium", "high"'],
    [{ prompt: 'a', timeout_ms: 0 }, 'timeout_ms', 'at least 1'],
    [{ prompt: 'a', raw: 'yes' }, 'raw', 'true or false'],
    [{ prompt: 'a', model: 'nope' }, 'model', ''],
    ['text', undefined, 'The body is "text", but must be an object.'],
    [null, undefined, 'The body is null, but must be an object.'],
    [[], undefined, 'The body is [], but must be an object.'],
    [undefined, undefined, 'The body is not given, but must be an object.'],
  ])('is refused: %j', (body, param, message) => {
    const refused = refusal(body);
    expect(refused.param).toBe(param);
    expect(refused.message).toContain(message);
  });
});
