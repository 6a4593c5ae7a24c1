import { describe, expect, it } from 'vitest';
import type {
  GenerationEvent,
  GenerationRequest,
  TokenLogprob,
  ToolCall,
} from '../../../../src/core/generation.ts';
import { nativeRenderer } from '../../../../src/protocols/native/render.ts';
import type { AnswerRenderer } from '../../../../src/protocols/protocol.ts';
import { ANSWER } from '../../../support/protocol-answers.ts';
import { foldEvents } from '../../../support/pulled-generation.ts';
import { chatRequest } from '../../../support/stand-ins/generate.ts';

const usage = { promptTokens: 1, completionTokens: 2, cachedTokens: 0 };

function answerTo(overrides: Partial<GenerationRequest> = {}): AnswerRenderer {
  return nativeRenderer(chatRequest('hi', overrides));
}

async function* events(...list: GenerationEvent[]) {
  yield* list;
}

async function wholeOf(list: GenerationEvent[], answer: AnswerRenderer) {
  return answer.whole([await foldEvents(events(...list))], ANSWER) as Record<string, unknown>;
}

function streamOf(list: GenerationEvent[], answer: AnswerRenderer): Record<string, unknown>[] {
  const encoder = answer.stream(ANSWER);
  return list
    .map((event) => encoder.encode(event, 0))
    .filter((encoded) => encoded !== undefined)
    .map((encoded) => JSON.parse(encoded.replace(/^data: /, '')));
}

function callEvents({ id, name, arguments: text }: ToolCall, index = 0): GenerationEvent[] {
  return [
    { type: 'tool-call', index, id, name },
    ...[...text].map((delta) => ({ type: 'tool-arguments', index, delta }) as const),
  ];
}

describe('tool calls', () => {
  const finish = { type: 'finish', reason: 'tool_calls', usage } as const;

  it('come whole as objects, and in a stream as pieces of the same text', async () => {
    const list = [
      ...callEvents({ id: 'call_1', name: 'a', arguments: '{"city":"Zürich"}' }),
      ...callEvents({ id: 'call_2', name: 'b', arguments: '{}' }, 1),
      finish,
    ];
    expect(await wholeOf(list, answerTo())).toMatchObject({
      text: '',
      tool_calls: [
        { id: 'call_1', name: 'a', arguments: { city: 'Zürich' } },
        { id: 'call_2', name: 'b', arguments: {} },
      ],
      finish_reason: 'tool_calls',
    });
    const streamed = streamOf(list, answerTo());
    expect(streamed[0]).toEqual({ tool_call: { index: 0, id: 'call_1', name: 'a' } });
    expect(streamed[1]).toEqual({ tool_call: { index: 0, arguments: '{' } });
    const pieces = streamed.flatMap(({ tool_call }) => (tool_call as { arguments?: string }) ?? []);
    expect(pieces.map((piece) => piece.arguments ?? '').join('')).toBe('{"city":"Zürich"}{}');
    expect(streamed.at(-1)).toMatchObject({ finish_reason: 'tool_calls' });
  });

  it('are not there when there are none', async () => {
    expect(await wholeOf([{ ...finish, reason: 'stop' }], answerTo())).not.toHaveProperty('tool_calls');
  });

  it.each(['{"city":"Par', '', '5', '["Paris"]', `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`])(
    'whose arguments are no usable object show their text instead: %#',
    async (text) => {
      const cut = [
        ...callEvents({ id: 'call_1', name: 'a', arguments: text }),
        { ...finish, reason: 'length' } as const,
      ];
      expect(await wholeOf(cut, answerTo())).toMatchObject({
        tool_calls: [{ id: 'call_1', name: 'a', arguments_text: text }],
        finish_reason: 'length',
      });
    },
  );

  it('send no empty piece', () => {
    expect(streamOf([{ type: 'tool-arguments', index: 0, delta: '' }], answerTo())).toEqual([]);
  });
});

describe('log-probabilities', () => {
  const fox = [...new TextEncoder().encode('🦊')];
  const half = { token: 9, bytes: fox.slice(0, 2), logprob: -0.5, top: [] };
  const rest: TokenLogprob = {
    token: 10,
    bytes: fox.slice(2),
    logprob: Number.NEGATIVE_INFINITY,
    top: [{ token: 11, bytes: [0xef, 0xbb, 0xbf, 0x61], logprob: -0.1 }],
  };
  const list: GenerationEvent[] = [
    { type: 'text', text: '🦊', logprobs: [half, rest] },
    { type: 'text', text: '!' },
    { type: 'finish', reason: 'stop', usage },
  ];
  const shown = [
    { token: '\uFFFD', token_id: 9, bytes: [0xf0, 0x9f], logprob: -0.5, top_logprobs: [] },
    {
      token: '\uFFFD\uFFFD',
      token_id: 10,
      bytes: [0xa6, 0x8a],
      logprob: -9999,
      top_logprobs: [{ token: '\uFEFFa', token_id: 11, bytes: [0xef, 0xbb, 0xbf, 0x61], logprob: -0.1 }],
    },
  ];

  it('come beside the text when they were asked for', async () => {
    const answer = answerTo({ logprobs: { top: 1 } });
    expect(await wholeOf(list, answer)).toMatchObject({ text: '🦊!', logprobs: shown });
    expect(streamOf(list, answer).slice(0, 2)).toEqual([
      { token: '🦊', logprobs: shown },
      { token: '!', logprobs: [] },
    ]);
  });

  it('are not there otherwise', async () => {
    expect(await wholeOf(list, answerTo())).not.toHaveProperty('logprobs');
    expect(streamOf(list, answerTo())[0]).toEqual({ token: '🦊' });
  });
});

it('timings always have both parts: of an answer in one piece the first token came with the last', async () => {
  const timings = { ...ANSWER.timings(), upstreamMs: 40, ttftMs: undefined, generateMs: undefined };
  const list: GenerationEvent[] = [
    { type: 'text', text: 'hi' },
    { type: 'finish', reason: 'stop', usage },
  ];
  const result = await foldEvents(events(...list));
  const whole = answerTo().whole([result], { ...ANSWER, timings: () => timings });
  expect(whole).toMatchObject({ timings: { upstream_ms: 40, ttft_ms: 40, generate_ms: 0 } });
});
