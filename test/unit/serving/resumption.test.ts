import { describe, expect, it } from 'vitest';
import type { GenerationRequest } from '../../../src/core/generation.ts';
import { decideResumption } from '../../../src/serving/resumption.ts';
import { textRequest } from '../../support/fake-backend.ts';
import { chatRequest } from '../../support/stand-ins/generate.ts';

const TEXT_SENT = { isWhole: true, textAlone: 'once upon' };

function decide(request: Partial<GenerationRequest>, options: { sentTokens?: number; sent?: object } = {}) {
  const { sentTokens = 2, sent = {} } = options;
  return decideResumption({
    request: { ...textRequest('a'), ...request },
    sent: { ...TEXT_SENT, ...sent },
    sentTokens,
  });
}

describe('an answer that was cut', () => {
  it.each<[string, GenerationRequest['sampling']]>([
    ['greedy', { temperature: 0 }],
    ['greedy by top_k', { topK: 1, temperature: 0.8 }],
    ['seeded', { seed: 7, temperature: 0.8 }],
  ])('is generated again and compared where it is %s, whatever it consists of', (_, sampling) => {
    const request = { sampling, output: { kind: 'json' as const }, logprobs: { top: 1 } };
    expect(decide(request, { sent: { textAlone: undefined } })).toEqual({ mode: 'regenerate' });
  });

  it('is continued from its text where it is sampled: a raw prompt', () => {
    expect(decide({ input: { kind: 'text', prompt: 'tell: ' } })).toMatchObject({
      mode: 'continue',
      request: { input: { kind: 'text', prompt: 'tell: once upon' } },
    });
  });

  it('is continued from its text where it is sampled: a chat', () => {
    const { input } = chatRequest('tell');
    const decided = decide({ input });
    expect(decided).toMatchObject({ mode: 'continue', request: { input: { continuesLast: true } } });
    if (decided.mode !== 'continue' || decided.request.input.kind !== 'chat' || input.kind !== 'chat')
      throw new Error('not a chat');
    expect(decided.request.input.messages).toEqual([
      ...input.messages,
      { role: 'assistant', content: 'once upon' },
    ]);
  });

  it('that continued a message goes on with the message and its text as one', () => {
    const messages = [
      { role: 'user', content: 'a story' },
      { role: 'assistant', content: 'Well, ' },
    ] as const;
    expect(decide({ input: { kind: 'chat', messages, continuesLast: true } })).toMatchObject({
      request: { input: { messages: [messages[0], { role: 'assistant', content: 'Well, once upon' }] } },
    });
  });

  it.each([' ', '\n\n', ' \n'])('leaves %j at the end of a message to be generated again', (overlap) => {
    const { input } = chatRequest('tell');
    const decided = decide(
      { input, limits: { stop: [], maxTokens: 10 } },
      { sent: { textAlone: `once${overlap}` } },
    );
    expect(decided).toMatchObject({
      mode: 'continue',
      overlap,
      tokens: 1,
      request: { input: { messages: [{}, { content: 'once' }] }, limits: { maxTokens: 9 } },
    });
  });

  it('of which only blanks were sent begins again', () => {
    const { input } = chatRequest('tell');
    expect(decide({ input }, { sentTokens: 1, sent: { textAlone: '\n' } })).toMatchObject({
      mode: 'continue',
      overlap: '\n',
      tokens: 0,
      request: { input },
    });
  });

  it('keeps the blanks at the end of a raw prompt', () => {
    expect(decide({ input: { kind: 'text', prompt: 'a' } }, { sent: { textAlone: 'b ' } })).toMatchObject({
      overlap: '',
      tokens: 2,
      request: { input: { prompt: 'ab ' } },
    });
  });

  it('may have only the tokens that are left, and has to have fewer', () => {
    expect(decide({ limits: { stop: ['x'], maxTokens: 10, minTokens: 5 } })).toMatchObject({
      request: { limits: { stop: ['x'], maxTokens: 8, minTokens: 3 } },
    });
    expect(decide({ limits: { stop: [], minTokens: 1 } })).toMatchObject({
      request: { limits: { minTokens: 0 } },
    });
  });

  it('that has all its tokens is complete', () => {
    expect(decide({ limits: { stop: [], maxTokens: 2 } })).toEqual({ mode: 'complete' });
  });

  it('begins with its tokens where the target that is asked knows them, whatever was sent', () => {
    const request = { ...textRequest('a'), tools: { tools: [{ name: 'f' }], choice: 'auto' as const } };
    const sent = { isWhole: true, textAlone: undefined };
    const of = (known: readonly number[], maxTokens: number) =>
      decideResumption({
        request: { ...request, limits: { stop: [], maxTokens } },
        sent,
        sentTokens: known.length,
        known,
      });
    expect(of([4, 5], 3)).toEqual({ mode: 'replay', tokens: [4, 5] });
    expect(of([4, 5, 6], 3)).toEqual({ mode: 'complete' });
    expect(of([], 3)).toMatchObject({ mode: 'cannot' });
  });

  it('does not think again before it goes on', () => {
    const decided = decide({ thinking: true });
    expect(decided.mode === 'continue' && 'thinking' in decided.request).toBe(false);
  });

  const tools = { tools: [{ name: 'f' }], choice: 'auto' as const };

  it.each<[string, Partial<GenerationRequest>, object]>([
    ['it is sampled, and it has tools', { tools }, {}],
    [
      'it is sampled, and its format constrains the answer from the beginning',
      { output: { kind: 'json' } },
      {},
    ],
    [
      'it is sampled, and its format constrains the answer from the beginning',
      { extras: { guided_regex: 'a+' } },
      {},
    ],
    ['it is sampled, and it has log-probabilities', { logprobs: { top: 0 } }, {}],
    ['it is sampled, and its prompt is token ids', { input: { kind: 'tokens', tokens: [1] } }, {}],
    ['it is sampled, and more than text was sent', {}, { textAlone: undefined }],
    ['the answer is too long to be kept', { sampling: { temperature: 0 } }, { isWhole: false }],
  ])('cannot go on where %s', (reason, request, sent) => {
    expect(decide(request, { sent })).toEqual({ mode: 'cannot', reason });
  });
});
