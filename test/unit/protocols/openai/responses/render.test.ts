import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../../../src/core/errors.ts';
import type { FinishReason, GenerationEvent } from '../../../../../src/core/generation.ts';
import { respondRoute } from '../../../../../src/protocols/openai/responses/route.ts';
import { ANSWER, parseWith } from '../../../../support/protocol-answers.ts';
import {
  type EventSeen,
  failedEvents,
  parseResponses,
  streamedEvents,
  wholeResponse,
} from '../../../../support/responses-body.ts';

const finish = (reason: FinishReason): GenerationEvent => ({
  type: 'finish',
  reason,
  usage: { promptTokens: 5, completionTokens: 3, cachedTokens: 2 },
});
const text = (said: string): GenerationEvent => ({ type: 'text', text: said });
const reasoning = (said: string): GenerationEvent => ({ type: 'reasoning', text: said });
const call = (index: number): GenerationEvent => ({
  type: 'tool-call',
  index,
  id: `call_${index}`,
  name: `f${index}`,
});
const values = (index: number, delta: string): GenerationEvent => ({ type: 'tool-arguments', index, delta });

const ANSWERS: Readonly<Record<string, readonly GenerationEvent[]>> = {
  text: [text('a'), text('b'), finish('stop')],
  nothing: [finish('stop')],
  'thoughts alone': [reasoning('a'), finish('length')],
  'thoughts and text': [reasoning('a'), reasoning('b'), text('c'), finish('stop')],
  'text, then calls': [
    text('a'),
    call(0),
    values(0, '{'),
    values(0, '}'),
    call(1),
    values(1, '{}'),
    finish('tool_calls'),
  ],
  'calls, then text': [call(0), values(0, '{}'), text('a'), text('b'), finish('tool_calls')],
  'calls in turns': [
    call(0),
    call(1),
    values(0, '{'),
    values(1, '{'),
    values(0, '}'),
    values(1, '}'),
    finish('tool_calls'),
  ],
  'thoughts between': [text('a'), reasoning('b'), text('c'), finish('stop')],
  'a cut call': [text('a'), call(0), values(0, '{"a'), finish('length')],
};

const typesOf = (events: readonly EventSeen[]) => events.map(({ type }) => type.replace('response.', ''));

it.each([
  [
    { tool_choice: { type: 'function', name: 'f', more: 1 } },
    { tool_choice: { type: 'function', name: 'f' } },
  ],
  [
    {
      tool_choice: {
        type: 'allowed_tools',
        mode: 'auto',
        tools: [{ type: 'function', name: 'f', more: 1 }],
        more: 1,
      },
    },
    { tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'f' }] } },
  ],
  [
    { text: { format: { type: 'json_schema', name: 'n', schema: {}, more: 1 } } },
    { text: { format: { type: 'json_schema', name: 'n', schema: {} } } },
  ],
])('of %j what is known is repeated', async (asked, repeated) => {
  const tools = [{ type: 'function', name: 'f' }];
  const { tool_choice, text } = await wholeResponse(
    { tools: 'tool_choice' in asked ? tools : [], ...asked },
    [finish('stop')],
  );
  expect({ tool_choice, text }).toEqual({
    tool_choice: 'auto',
    text: { format: { type: 'text' } },
    ...repeated,
  });
});

describe('a whole response', () => {
  it('says that nothing is kept, and repeats what was asked', async () => {
    const asked = { store: true, metadata: { a: 'b' }, user: 'u', max_output_tokens: 9, temperature: 0.5 };
    expect(await wholeResponse(asked, [text('a'), finish('stop')])).toMatchObject({
      id: 'resp_000000000000000000000001',
      object: 'response',
      created_at: 1_700_000_000,
      completed_at: 1_700_000_000,
      model: 'm',
      store: false,
      previous_response_id: null,
      truncation: 'disabled',
      metadata: { a: 'b' },
      user: 'u',
      max_output_tokens: 9,
      temperature: 0.5,
      top_p: 1,
      usage: {
        input_tokens: 5,
        input_tokens_details: { cached_tokens: 2, cache_write_tokens: 0 },
        output_tokens: 3,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 8,
      },
    });
  });

  it.each([
    ['stop', 'completed', null],
    ['tool_calls', 'completed', null],
    ['length', 'incomplete', { reason: 'max_output_tokens' }],
    ['content_filter', 'incomplete', { reason: 'content_filter' }],
  ] as const)('that ends by %s is %s', async (reason, status, incomplete_details) => {
    const response = await wholeResponse({}, [text('a'), finish(reason)]);
    expect(response).toMatchObject({ status, incomplete_details, output: [{ status }] });
    expect(response.completed_at === null).toBe(status === 'incomplete');
  });

  it.each([
    ['text', ['message completed']],
    ['nothing', ['message completed']],
    ['thoughts alone', ['reasoning', 'message incomplete']],
    ['thoughts and text', ['reasoning', 'message completed']],
    ['text, then calls', ['message completed', 'function_call completed', 'function_call completed']],
    ['a cut call', ['message completed', 'function_call incomplete']],
  ])('of %s has the items %j, each with its own id', async (name, items) => {
    const { output } = await wholeResponse({}, ANSWERS[name] ?? []);
    expect(output.map(({ type, status }) => [type, status].join(' ').trim())).toEqual(items);
    expect(new Set(output.map(({ id }) => id)).size).toBe(items.length);
  });
});

describe('a streamed response', () => {
  it.each(Object.entries(ANSWERS))('of %s counts its events and ends as its items say', (_, answer) => {
    const events = streamedEvents(answer);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual([...events.keys()]);
    expect(typesOf(events).slice(0, 2)).toEqual(['created', 'in_progress']);
    const last = events.at(-1);
    const output = last?.response?.output ?? [];
    expect(last?.type).toBe(`response.${last?.response?.status}`);
    for (const [index, item] of output.entries()) {
      const ofItem = events.filter(({ output_index }) => output_index === index);
      const deltas = ofItem.map(({ delta }) => delta ?? '').join('');
      expect(ofItem.at(0)).toMatchObject({ type: 'response.output_item.added', item: { id: item.id } });
      expect(ofItem.at(-1)).toMatchObject({ type: 'response.output_item.done', item });
      expect(item.arguments ?? item.content?.[0]?.text).toBe(deltas);
      expect(ofItem.filter(({ item_id }) => item_id !== undefined && item_id !== item.id)).toEqual([]);
    }
    expect(Math.max(...events.map(({ output_index }) => output_index ?? 0))).toBe(output.length - 1);
  });

  it('of text', () => {
    expect(typesOf(streamedEvents(ANSWERS.text ?? []))).toEqual([
      'created',
      'in_progress',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'completed',
    ]);
  });

  it('closes text when something else begins, calls with the answer', () => {
    const events = streamedEvents(ANSWERS['calls, then text'] ?? []);
    expect(
      events.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item?.type),
    ).toEqual(['function_call', 'message']);
    const between = streamedEvents(ANSWERS['thoughts between'] ?? []);
    expect(between.at(-1)?.response?.output.map(({ type }) => type)).toEqual([
      'message',
      'reasoning',
      'message',
    ]);
  });

  it('gives nothing for a start: the stream does not commit by it', () => {
    const encoder = parseResponses({ stream: true }).renderer.stream(ANSWER);
    expect(encoder.encode({ type: 'start', promptTokens: 1 }, 0)).toBeUndefined();
    expect(encoder.encode(text('a'), 0)).toContain('"sequence_number":0}');
  });

  it('shows log-probabilities with the text that they are of', () => {
    const { renderer } = parseWith(respondRoute, {
      model: 'm',
      input: 'hi',
      stream: true,
      top_logprobs: 1,
    });
    const encoder = renderer.stream(ANSWER);
    const token = { token: 7, bytes: [97], logprob: Number.NEGATIVE_INFINITY };
    const written = encoder.encode({ type: 'text', text: 'a', logprobs: [{ ...token, top: [token] }] }, 0);
    expect(written).toContain(
      '"delta":"a","logprobs":[{"token":"a","logprob":-9999,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-9999,"bytes":[97]}]}],"sequence_number":4}',
    );
  });

  it('is no success before it has finished', () => {
    const encoder = parseResponses({ stream: true }).renderer.stream(ANSWER);
    encoder.encode(text('a'), 0);
    expect(() => encoder.end()).toThrow('no success');
  });
});

describe('a stream that fails', () => {
  it.each([
    ['backend_error', 'server_error', 'backend_error'],
    ['client_queue_full', 'rate_limit_exceeded', 'rate_limit_exceeded'],
    ['context_length_exceeded', 'context_length_exceeded', 'context_length_exceeded'],
    ['content_filtered', 'invalid_prompt', 'content_filter'],
  ] as const)(
    'by %s shows it twice: in the response, and as clients look for it',
    (code, inResponse, inError) => {
      const events = failedEvents([text('a')], new ServingError(code, { message: 'No.' }));
      expect(typesOf(events).slice(-2)).toEqual(['failed', 'error']);
      expect(events.at(-2)?.response).toMatchObject({
        status: 'failed',
        error: { code: inResponse, message: 'No.' },
        output: [{ type: 'message', status: 'incomplete', content: [{ text: 'a' }] }],
        usage: null,
      });
      expect(events.at(-1)).toMatchObject({
        code: inError,
        message: expect.stringContaining('No.'),
        error: { code: inError, message: expect.stringContaining('No.') },
      });
    },
  );

  it('before it began begins all the same: readers count on it', () => {
    const events = failedEvents([], new ServingError('backend_error'));
    expect(typesOf(events)).toEqual(['created', 'in_progress', 'failed', 'error']);
  });
});
