import { describe, expect, it } from 'vitest';
import { ConversationRefusedError } from '../../../../../src/backends/llama-cpp/engine/jinja-template.ts';
import { createVocabulary } from '../../../../../src/backends/llama-cpp/engine/vocabulary.ts';
import type { EngineEvent, Question } from '../../../../../src/backends/llama-cpp/messages.ts';

const TEXT = { kind: 'text', prompt: 'ab' } as const;

function answer(question: Question, encode: () => readonly number[] = () => [97, 98]) {
  const detokenize = (tokens: readonly number[], special?: boolean) =>
    String.fromCodePoint(...tokens) + (special ? '' : ' without special tokens');
  const events: EngineEvent[] = [];
  let steps = 0;
  const ask = createVocabulary({
    model: { detokenize },
    vocabularySize: 100,
    encode,
    emit: (told) => events.push(...told),
    onStep: () => {
      steps += 1;
    },
  });
  ask({ ...question, id: 7 });
  expect([events.length, steps]).toEqual([1, 1]);
  expect(events[0]?.id).toBe(7);
  return events[0]?.event;
}

describe('a question about the vocabulary', () => {
  it('is answered with tokens', () => {
    expect(answer({ type: 'tokenize', input: TEXT })).toEqual({ type: 'tokenized', tokens: [97, 98] });
  });

  it('is answered with text, special tokens in it', () => {
    expect(answer({ type: 'detokenize', tokens: [97, 98] })).toEqual({
      type: 'detokenized',
      text: 'ab',
    });
  });

  it.each([100, -1, 0.5])('is refused for %s, which is no token', (token) => {
    expect(answer({ type: 'detokenize', tokens: [97, token] })).toEqual({
      type: 'failed',
      code: 'invalid_request',
      param: 'tokens',
      message: expect.stringContaining(`tokens names token ${token}, but this model’s tokens are 0 to 99.`),
    });
  });

  it('is refused where the template refuses the messages, and fails where the engine does', () => {
    const failing = (thrown: Error) => () => {
      throw thrown;
    };
    expect(
      answer({ type: 'tokenize', input: TEXT }, failing(new ConversationRefusedError('no'))),
    ).toMatchObject({
      code: 'invalid_request',
      param: 'messages',
    });
    expect(answer({ type: 'tokenize', input: TEXT }, failing(new Error('oops')))).toMatchObject({
      code: 'backend_error',
      message: 'The engine could not read it: oops',
    });
  });
});
