import { describe, expect, it } from 'vitest';
import { mayBeWhole, readWholeAnswer } from '../../../../src/backends/openai-compatible/whole-answer.ts';
import { chatRequest } from '../../../support/stand-ins/generate.ts';
import { recordedJson } from '../../../support/stand-ins/recording.ts';

const chat = (message: object, usage: object | undefined, finish_reason: unknown = 'stop') => ({
  choices: [{ index: 0, message, finish_reason }],
  ...(usage !== undefined && { usage }),
});
const used = (completion_tokens: number) => ({ prompt_tokens: 3, completion_tokens });

describe('a whole answer', () => {
  it('comes as vllm was recorded to give it', () => {
    expect(readWholeAnswer(recordedJson('vllm/chat'), 16)).toEqual({
      isWorse: false,
      events: [
        { type: 'start', promptTokens: 37, cachedTokens: 0 },
        { type: 'text', text: 'The capital of France is Paris.' },
        {
          type: 'finish',
          reason: 'stop',
          usage: { promptTokens: 37, completionTokens: 8, cachedTokens: 0 },
        },
      ],
    });
    expect(readWholeAnswer(recordedJson('vllm/completion'), 8).events).toMatchObject([
      { promptTokens: 4 },
      { text: ', the city of Nova Haven was a' },
      { reason: 'length' },
    ]);
    expect(readWholeAnswer(recordedJson('vllm/chat-stop'), 40).events.at(-1)).toMatchObject({
      reason: 'stop',
      matchedStop: expect.any(String),
    });
  });

  it('comes as llama-server was recorded to give it', () => {
    expect(readWholeAnswer(recordedJson('llama-server/chat'), 16).events).toMatchObject([
      { type: 'start', promptTokens: 37 },
      { type: 'text', text: expect.stringMatching(/^L'Étoile/) },
      { reason: 'length', usage: { completionTokens: 16 } },
    ]);
  });

  it.each(['reasoning', 'reasoning_content'])('has its thoughts first, from %s', (field) => {
    const { events } = readWholeAnswer(chat({ [field]: 'hm', content: 'yes' }, used(2)));
    expect(events.slice(1, 3)).toEqual([
      { type: 'reasoning', text: 'hm' },
      { type: 'text', text: 'yes' },
    ]);
  });

  it('is cut where it exceeds max_tokens, and never in a character', () => {
    const { events, isWorse } = readWholeAnswer(chat({ reasoning: 'hm', content: 'abc🦊efgh' }, used(10)), 6);
    expect(isWorse).toBe(true);
    expect(events).toMatchObject([
      { type: 'start' },
      { type: 'reasoning', text: 'hm' },
      { type: 'text', text: 'abc' },
      { type: 'finish', reason: 'length', usage: { promptTokens: 3, completionTokens: 6 } },
    ]);
  });

  it('that is cut has no more thought tokens than tokens', () => {
    const usage = { ...used(10), completion_tokens_details: { reasoning_tokens: 8 } };
    const { events } = readWholeAnswer(chat({ reasoning: 'hmhmhmhm', content: 'yes' }, usage), 6);
    expect(events.at(-1)).toMatchObject({ usage: { completionTokens: 6, reasoningTokens: 6 } });
  });

  it('without usage has its tokens guessed, and is worse than a stream', () => {
    const { events, isWorse } = readWholeAnswer(chat({ content: 'twelve chars' }, undefined));
    expect(isWorse).toBe(true);
    expect(events.at(-1)).toMatchObject({ usage: { promptTokens: 0, completionTokens: 3 } });
  });

  it.each([
    ['that is no JSON', undefined],
    ['without a choice', {}],
    ['without a reason for its end', chat({ content: 'hi' }, used(1), null)],
    ['that was given up', chat({ content: 'hi' }, used(1), 'abort')],
    ['that is an error', { error: { message: 'no' } }],
  ])('%s is none', (_, body) => {
    expect(() => readWholeAnswer(body)).toThrow(expect.objectContaining({ code: 'backend_error' }));
  });
});

it('log-probabilities and tools stay streamed', () => {
  expect(mayBeWhole(chatRequest('hi'))).toBe(true);
  expect(mayBeWhole(chatRequest('hi', { logprobs: { top: 0 } }))).toBe(false);
  expect(mayBeWhole(chatRequest('hi', { tools: { tools: [{ name: 'clock' }], choice: 'auto' } }))).toBe(
    false,
  );
});
