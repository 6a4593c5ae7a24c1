import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../../src/core/errors.ts';
import type { FinishReason, GenerationEvent } from '../../../../src/core/generation.ts';
import type { Timings } from '../../../../src/core/request-trace.ts';
import { metricsOf } from '../../../../src/protocols/ollama/answer.ts';
import { chatRoute, generateRoute } from '../../../../src/protocols/ollama/protocol.ts';
import { ANSWER, parseWith, streamOf, wholeOf } from '../../../support/protocol-answers.ts';

const usage = { promptTokens: 4, completionTokens: 2, cachedTokens: 0 };
const created_at = '2023-11-14T22:13:20.000Z';
const text = (value: string): GenerationEvent => ({ type: 'text', text: value });
const finish = (reason: FinishReason = 'stop'): GenerationEvent => ({ type: 'finish', reason, usage });

function call(index: number, ...deltas: string[]): GenerationEvent[] {
  return [
    { type: 'tool-call', index, id: `id_${index}`, name: 'a' },
    ...deltas.map((delta) => ({ type: 'tool-arguments', index, delta }) as const),
  ];
}

const rendererOf = (more: object = {}) =>
  parseWith(chatRoute, { model: 'm:latest', messages: [{ role: 'user', content: 'hi' }], ...more }).renderer;
const generateRenderer = (more: object = {}) =>
  parseWith(generateRoute, { model: 'm', prompt: 'hi', ...more }).renderer;

const linesOf = (...events: GenerationEvent[]) => parsed(streamOf(rendererOf(), events));
const parsed = (lines: string) =>
  lines
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

const end = {
  total_duration: 3_000_000,
  prompt_eval_count: 4,
  prompt_eval_duration: 1_000_000,
  eval_count: 2,
  eval_duration: 2_000_000,
};

describe('a stream', () => {
  it('has a line for each piece, and done with the last', () => {
    const events: GenerationEvent[] = [
      { type: 'start' },
      { type: 'reasoning', text: 'h"m' },
      text('"é"\n'),
      finish(),
    ];
    const head = `{"model":"m:latest","created_at":"${created_at}","message":{"role":"assistant","content":`;
    expect(streamOf(rendererOf(), events)).toBe(
      `${head}"","thinking":"h\\"m"},"done":false}\n` +
        `${head}"\\"é\\"\\n"},"done":false}\n` +
        `${head}""},"done":true,"done_reason":"stop",${JSON.stringify(end).slice(1)}\n`,
    );
  });

  it('of /api/generate has response and thinking', () => {
    const events: GenerationEvent[] = [{ type: 'reasoning', text: 'hm' }, text('a'), finish('length')];
    const head = { model: 'm', created_at };
    expect(parsed(streamOf(generateRenderer(), events))).toEqual([
      { ...head, response: '', thinking: 'hm', done: false },
      { ...head, response: 'a', done: false },
      { ...head, response: '', done: true, done_reason: 'length', ...end },
    ]);
  });

  it('has each call in one line, when it is whole', () => {
    const lines = linesOf(...call(0, '{"x":', '1}'), ...call(1), finish('tool_calls'));
    expect(lines.map(({ message }) => message.tool_calls?.[0])).toEqual([
      { id: 'id_0', function: { index: 0, name: 'a', arguments: { x: 1 } } },
      { id: 'id_1', function: { index: 1, name: 'a', arguments: {} } },
      undefined,
    ]);
    expect(lines.at(-1)).toMatchObject({ done: true, done_reason: 'stop' });
    expect(linesOf(...call(0, '{}'), text('and'), finish()).map(({ message }) => message.content)).toEqual([
      '',
      'and',
      '',
    ]);
  });

  it('has calls in their order where their arguments come mixed, or only at the end', () => {
    const [first] = call(0);
    const [second] = call(1);
    const piece = (index: number, delta: string) => ({ type: 'tool-arguments', index, delta }) as const;
    const pieces = [piece(0, '{"x":'), piece(1, '{"y":'), piece(0, '1}'), piece(1, '2}')];
    const called = (...events: (GenerationEvent | undefined)[]) =>
      linesOf(...events.filter((event) => event !== undefined), finish('tool_calls')).flatMap(
        ({ message }) => message.tool_calls?.[0]?.function ?? [],
      );
    expect(called(first, second, ...pieces)).toEqual([
      { index: 0, name: 'a', arguments: { x: 1 } },
      { index: 1, name: 'a', arguments: { y: 2 } },
    ]);
    expect(called(first, second, piece(1, '{"y":2}'), text('and'), piece(0, '{}'))).toEqual([
      { index: 0, name: 'a', arguments: {} },
      { index: 1, name: 'a', arguments: { y: 2 } },
    ]);
  });

  it('has no call that was cut off', () => {
    const lines = linesOf(...call(0, '{}'), ...call(1, '{"x":'), finish('length'));
    expect(lines.map(({ message }) => message.tool_calls?.length)).toEqual([1, undefined]);
    expect(lines.at(-1)).toMatchObject({ done: true, done_reason: 'length' });
  });

  it('fails where a call that is over cannot be called', () => {
    expect(() => linesOf(...call(0, '[]'), finish('tool_calls'))).toThrow(ServingError);
    expect(() => linesOf(...call(0, '{"x":'), ...call(1, '{}'), finish('tool_calls'))).toThrow(ServingError);
    const late: GenerationEvent = { type: 'tool-arguments', index: 0, delta: '}' };
    expect(() => linesOf(...call(0, '{'), late, ...call(1), late)).toThrow(ServingError);
  });

  it('has its log-probabilities beside the text', () => {
    const logprobs = [{ bytes: [240, 159], logprob: Number.NEGATIVE_INFINITY, top: [] }];
    const lines = parsed(
      streamOf(rendererOf({ logprobs: true }), [{ type: 'text', text: 'a', logprobs }, finish()]),
    );
    expect(lines[0].logprobs).toEqual([{ token: '\uFFFD', logprob: -9999, bytes: [240, 159] }]);
    expect(lines[1]).not.toHaveProperty('logprobs');
  });

  it('is kept awake with empty pieces, and fails with a line of its own', () => {
    const encoder = rendererOf().stream(ANSWER);
    expect(JSON.parse(encoder.heartbeat())).toEqual({
      model: 'm:latest',
      created_at,
      message: { role: 'assistant', content: '' },
      done: false,
    });
    expect(encoder.error(new ServingError('backend_error', { message: 'No.' }), 'req_1')).toBe(
      '{"error":"No."}\n',
    );
  });
});

describe('a whole answer', () => {
  it('has text, thoughts and calls in one message', async () => {
    const events: GenerationEvent[] = [{ type: 'reasoning', text: 'hm' }, text('a'), ...call(0, '{"x":1}')];
    expect(JSON.stringify(await wholeOf(rendererOf(), [...events, finish('tool_calls')]))).toBe(
      JSON.stringify({
        model: 'm:latest',
        created_at,
        message: {
          role: 'assistant',
          content: 'a',
          thinking: 'hm',
          tool_calls: [{ id: 'id_0', function: { index: 0, name: 'a', arguments: { x: 1 } } }],
        },
        done: true,
        done_reason: 'stop',
        ...end,
      }),
    );
  });

  it('has no call that was cut off, and none that cannot be called', async () => {
    expect(await wholeOf(rendererOf(), [...call(0, '{"x"'), finish('length')])).toMatchObject({
      message: { content: '' },
      done_reason: 'length',
    });
    await expect(wholeOf(rendererOf(), [...call(0, '{"x"'), finish('tool_calls')])).rejects.toThrow(
      ServingError,
    );
  });

  it('says when the backend would not go on', async () => {
    expect(await wholeOf(generateRenderer(), [text('a'), finish('content_filter')])).toMatchObject({
      response: 'a',
      done_reason: 'content_filter',
    });
  });
});

describe('durations', () => {
  const known = {
    queueMs: 100,
    upstreamMs: 60.5,
    ttftMs: 30.5,
    generateMs: 30,
    gatewayMs: 2,
    totalMs: 162.5,
  };
  const whole = { ...known, ttftMs: undefined, generateMs: undefined };
  const answer = (timings: Timings) => ({
    trace: { requestId: 'r', receivedAt: 0 },
    createdAt: 0,
    timings: () => timings,
  });

  it('leave the wait in the queue and our own work to the total alone', () => {
    expect(metricsOf(usage, answer(known))).toMatchObject({
      total_duration: 162_500_000,
      prompt_eval_duration: 30_500_000,
      eval_duration: 30_000_000,
    });
  });

  it('of an answer that came in one piece are all the answer’s: nobody knows when it began', () => {
    expect(metricsOf(usage, answer(whole))).toMatchObject({
      total_duration: 162_500_000,
      prompt_eval_duration: 0,
      eval_duration: 60_500_000,
    });
  });
});
