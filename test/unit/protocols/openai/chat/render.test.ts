import { describe, expect, it } from 'vitest';
import type { GenerationEvent, TokenLogprob } from '../../../../../src/core/generation.ts';
import { chatRoute } from '../../../../../src/protocols/openai/chat/route.ts';
import { parseWith, streamOf, wholeOf } from '../../../../support/protocol-answers.ts';

const usage = { promptTokens: 3, completionTokens: 2, cachedTokens: 1 };
const finish = (reason: 'stop' | 'length' | 'tool_calls' | 'content_filter' = 'stop'): GenerationEvent => ({
  type: 'finish',
  reason,
  usage,
});
const text = (of: string): GenerationEvent => ({ type: 'text', text: of });
const start: GenerationEvent = { type: 'start', promptTokens: 3 };

function renderer(fields: object = {}) {
  return parseWith(chatRoute, { model: 'm', messages: [{ role: 'user', content: 'hi' }], ...fields })
    .renderer;
}

type Chunk = Record<string, unknown> & { readonly choices: readonly Record<string, unknown>[] };

function chunksOf(stream: string): Chunk[] {
  const data = stream.split('\n\n').filter((line) => line.startsWith('data: {'));
  return data.map((line) => JSON.parse(line.slice('data: '.length)));
}

describe('a stream', () => {
  it('begins each choice with its role, and has one id and time throughout', () => {
    const stream = streamOf(
      renderer({ n: 2, stream: true }),
      [start, text('a'), finish()],
      [text('b'), finish()],
    );
    const chunks = chunksOf(stream);
    expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`))).toEqual(
      new Set(['chatcmpl-000000000000000000000001 1700000000 m']),
    );
    const told = (choice: number) =>
      chunks.flatMap(({ choices }) => choices).filter(({ index }) => index === choice);
    for (const [choice, said] of ['a', 'b'].entries())
      expect(told(choice)).toEqual([
        {
          index: choice,
          delta: { role: 'assistant', content: '', refusal: null },
          logprobs: null,
          finish_reason: null,
        },
        { index: choice, delta: { content: said }, logprobs: null, finish_reason: null },
        { index: choice, delta: {}, logprobs: null, finish_reason: 'stop' },
      ]);
    expect(chunks.every((chunk) => !('usage' in chunk))).toBe(true);
    expect(stream.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('tells usage in a chunk of its own, where that is asked for', () => {
    const asked = renderer({ n: 2, stream: true, stream_options: { include_usage: true } });
    const chunks = chunksOf(streamOf(asked, [text('a'), finish()], [finish()]));
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 4,
        total_tokens: 7,
        prompt_tokens_details: { cached_tokens: 1, audio_tokens: 0, cache_write_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
    });
  });

  it('escapes what a model writes', () => {
    const said = '"\\\n\u2028\u0000😀data: [DONE]\n\n';
    const chunks = chunksOf(streamOf(renderer({ stream: true }), [text(said), finish()]));
    expect(chunks[1]?.choices[0]?.delta).toEqual({ content: said });
  });

  it('tells calls by their head and the pieces of their arguments', () => {
    const events: GenerationEvent[] = [
      { type: 'reasoning', text: 'hm' },
      { type: 'tool-call', index: 0, id: 'call_1', name: 'a"b' },
      { type: 'tool-arguments', index: 0, delta: '' },
      { type: 'tool-arguments', index: 0, delta: '{"x"' },
      finish('tool_calls'),
    ];
    const deltas = chunksOf(streamOf(renderer({ stream: true }), events)).map(
      ({ choices }) => choices[0]?.delta,
    );
    expect(deltas.slice(1)).toEqual([
      { reasoning_content: 'hm' },
      {
        tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'a"b', arguments: '' } }],
      },
      { tool_calls: [{ index: 0, function: { arguments: '{"x"' } }] },
      {},
    ]);
  });

  it('gives nothing for a start: the backend has not shown yet that it can answer', () => {
    expect(streamOf(renderer({ stream: true }), [start])).toBe('data: [DONE]\n\n');
  });
});

describe('a whole answer', () => {
  it('has null for content where there are only calls', async () => {
    const events: GenerationEvent[] = [
      { type: 'tool-call', index: 0, id: 'call_1', name: 'a' },
      { type: 'tool-arguments', index: 0, delta: '{"x":' },
      finish('length'),
    ];
    expect(await wholeOf(renderer(), events)).toEqual({
      id: 'chatcmpl-000000000000000000000001',
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'm',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: null,
            refusal: null,
            tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'a', arguments: '{"x":' } }],
          },
          logprobs: null,
          finish_reason: 'length',
        },
      ],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 2,
        total_tokens: 5,
        prompt_tokens_details: { cached_tokens: 1, audio_tokens: 0, cache_write_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
    });
  });

  it('counts the prompt once, however many choices there are, and as cached what was before all of them', async () => {
    const events = (cachedTokens: number): GenerationEvent[] => [
      { type: 'finish', reason: 'content_filter', usage: { ...usage, cachedTokens } },
    ];
    expect(await wholeOf(renderer({ n: 3 }), events(3), events(0), events(3))).toMatchObject({
      choices: [0, 1, 2].map((index) => ({ index, finish_reason: 'content_filter' })),
      usage: {
        prompt_tokens: 3,
        completion_tokens: 6,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0, cache_write_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
    });
  });

  it('shows tokens by their bytes, halves of characters too', async () => {
    const half = { bytes: [0xf0, 0x9f], logprob: Number.NEGATIVE_INFINITY };
    const logprobs: TokenLogprob[] = [{ ...half, top: [{ bytes: [0x61], logprob: -1, token: 5 }] }];
    const events: GenerationEvent[] = [{ type: 'text', text: '😀', logprobs }, finish()];
    expect(await wholeOf(renderer({ logprobs: true, top_logprobs: 1 }), events)).toMatchObject({
      choices: [
        {
          logprobs: {
            content: [
              {
                token: '\uFFFD',
                logprob: -9999,
                bytes: [0xf0, 0x9f],
                top_logprobs: [{ token: 'a', logprob: -1, bytes: [0x61] }],
              },
            ],
            refusal: null,
          },
        },
      ],
    });
  });
});
