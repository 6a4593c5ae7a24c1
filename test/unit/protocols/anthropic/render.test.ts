import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../../src/core/generation.ts';
import { wireTimings } from '../../../../src/core/request-trace.ts';
import { parseMessage } from '../../../support/anthropic-body.ts';
import { ANSWER, streamOf, wholeOf } from '../../../support/protocol-answers.ts';

const usage = { promptTokens: 7, completionTokens: 2, cachedTokens: 3, reasoningTokens: 1 };
const SHOWN_TIMINGS = wireTimings(ANSWER.timings());
const shownUsage = {
  input_tokens: 4,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 3,
  output_tokens: 2,
  output_tokens_details: { thinking_tokens: 1 },
  server_tool_use: null,
};
const messageUsage = {
  ...shownUsage,
  cache_creation: null,
  inference_geo: null,
  service_tier: 'standard',
  speed: null,
};
const start = { type: 'start', promptTokens: 7, cachedTokens: 3 } as const;
const finish = { type: 'finish', reason: 'stop', usage } as const;
const text = (said: string) => ({ type: 'text', text: said }) as const;
const thought = (said: string) => ({ type: 'reasoning', text: said }) as const;
const call = (index: number) => ({ type: 'tool-call', index, id: `t${index}`, name: `n${index}` }) as const;
const piece = (index: number, delta: string) => ({ type: 'tool-arguments', index, delta }) as const;
const ended = (reason: 'stop' | 'length' | 'tool_calls' | 'content_filter', matchedStop?: string) =>
  ({ type: 'finish', reason, ...(matchedStop !== undefined && { matchedStop }), usage }) as const;

const { renderer } = parseMessage();

/** The data of each event; its name is that of its line. */
function streamed(events: readonly GenerationEvent[], of = renderer): Record<string, unknown>[] {
  return streamOf(of, events)
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => {
      const [, name, data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
      const value = JSON.parse(data);
      expect(value.type).toBe(name);
      return value;
    });
}

/** Blocks as the events tell them: `index kind: pieces`; each is closed before the next begins. */
function blocksOf(events: readonly GenerationEvent[]): string[] {
  const blocks: string[] = [];
  let open = false;
  for (const event of streamed(events)) {
    const { type, index, content_block, delta } = event as Record<string, Record<string, string>> & {
      readonly type: string;
    };
    if (type === 'content_block_start') {
      expect(open).toBe(false);
      expect(index).toBe(blocks.length);
      open = true;
      blocks.push(`${content_block?.type} ${content_block?.id ?? ''}:`);
    } else if (type === 'content_block_delta') {
      expect(index).toBe(blocks.length - 1);
      const said = delta?.text ?? delta?.thinking ?? delta?.partial_json;
      if (said !== undefined) blocks.push(`${blocks.pop()}|${said}`);
    } else if (type === 'content_block_stop') {
      expect(index).toBe(blocks.length - 1);
      open = false;
    }
  }
  expect(open).toBe(false);
  return blocks;
}

describe('a whole message', () => {
  it('has thoughts, text and calls, and counts the cached tokens by themselves', async () => {
    const events = [start, thought('hm'), text('a'), text('b'), call(0), piece(0, '{"x":'), piece(0, '1}')];
    expect(await wholeOf(renderer, [...events, ended('tool_calls')])).toEqual({
      id: 'msg_000000000000000000000001',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [
        { type: 'thinking', thinking: 'hm', signature: '' },
        { type: 'text', text: 'ab' },
        { type: 'tool_use', id: 't0', name: 'n0', input: { x: 1 } },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: messageUsage,
    });
  });

  it.each([
    ['stop', undefined, 'end_turn', null],
    ['stop', 'END', 'stop_sequence', 'END'],
    ['length', undefined, 'max_tokens', null],
    ['content_filter', undefined, 'refusal', null],
  ] as const)('that ends by %s (%j) says %s', async (reason, matched, stop_reason, stop_sequence) => {
    const expected = { content: [], stop_reason, stop_sequence };
    expect(await wholeOf(renderer, [ended(reason, matched)])).toMatchObject(expected);
    expect(streamed([ended(reason, matched)]).at(-2)).toEqual({
      type: 'message_delta',
      delta: { stop_reason, stop_sequence },
      usage: shownUsage,
      timings: SHOWN_TIMINGS,
    });
  });

  it.each([
    ['', {}],
    ['{"a":', { arguments_text: '{"a":' }],
    ['[1]', { arguments_text: '[1]' }],
  ])('has a call whose arguments are %j', async (written, input) => {
    const events = [call(0), piece(0, written), ended('length')];
    expect(await wholeOf(renderer, events)).toMatchObject({
      content: [{ input }],
      stop_reason: 'max_tokens',
    });
  });

  it('shows no thoughts where they are to be omitted', async () => {
    const quiet = parseMessage({ thinking: { type: 'adaptive', display: 'omitted' } }).renderer;
    const events = [thought('hm'), thought('so'), text('a'), finish];
    const block = { type: 'thinking', thinking: '', signature: '' };
    expect(await wholeOf(quiet, events)).toMatchObject({ content: [block, { text: 'a' }] });
    expect(streamOf(quiet, events)).not.toContain('hm');
    expect(streamed(events, quiet)[1]).toMatchObject({ content_block: block });
  });
});

describe('a streamed message', () => {
  it('begins, tells its blocks one after the other, and ends', () => {
    expect(streamed([start, thought('hm'), text('a'), text('b'), finish])).toEqual([
      {
        type: 'message_start',
        message: {
          id: 'msg_000000000000000000000001',
          type: 'message',
          role: 'assistant',
          model: 'm',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { ...messageUsage, output_tokens: 0, output_tokens_details: { thinking_tokens: 0 } },
        },
      },
      {
        type: 'content_block_start',
        index: 0,
        content_block: { type: 'thinking', thinking: '', signature: '' },
      },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'hm' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: '' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'a' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'b' } },
      { type: 'content_block_stop', index: 1 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: shownUsage,
        timings: SHOWN_TIMINGS,
      },
      { type: 'message_stop' },
    ]);
  });

  it('writes nothing before the backend has shown that it can answer', () => {
    const encoder = renderer.stream(ANSWER);
    expect(encoder.encode(start, 0)).toBeUndefined();
    expect(encoder.heartbeat()).toBe('event: ping\ndata: {"type":"ping"}\n\n');
    expect(encoder.encode(text('a'), 0)).toMatch(/^event: message_start\n/);
  });

  it('has no blocks where nothing was said', () => {
    expect(streamed([start, finish]).map(({ type }) => type)).toEqual([
      'message_start',
      'message_delta',
      'message_stop',
    ]);
  });

  it('tells calls with what comes of their arguments', () => {
    const events = [text('a'), call(0), piece(0, '{"x"'), piece(0, ':1}'), call(1), piece(1, '{}')];
    expect(blocksOf([...events, ended('tool_calls')])).toEqual([
      'text :|a',
      'tool_use t0:|{"x"|:1}',
      'tool_use t1:|{}',
    ]);
  });

  it('tells one call after the other where their arguments come mixed', () => {
    const begun = [call(0), call(1), piece(1, '{"b"'), call(2), piece(0, '{"a":'), piece(2, '{}')];
    expect(blocksOf([...begun, piece(0, '1}'), piece(1, ':2}'), ended('tool_calls')])).toEqual([
      'tool_use t0:|{"a":|1}',
      'tool_use t1:|{"b"|:2}',
      'tool_use t2:|{}',
    ]);
    expect(blocksOf([...begun, ended('length')])).toEqual([
      'tool_use t0:|{"a":',
      'tool_use t1:|{"b"',
      'tool_use t2:|{}',
    ]);
  });

  it('goes on as soon as a call is whole', () => {
    const encoder = renderer.stream(ANSWER);
    const written = [call(0), piece(0, '{}'), call(1), piece(1, '{')].map((event) =>
      encoder.encode(event, 0),
    );
    expect(written[2]).toContain('"id":"t1"');
    expect(written[3]).toContain('"partial_json":"{"');
  });

  it('takes it as nothing new when a call that is over turns out to have no arguments', () => {
    expect(blocksOf([call(0), text('a'), piece(0, '{}'), ended('tool_calls')])).toEqual([
      'tool_use t0:',
      'text :|a',
    ]);
  });

  it('fails where a call that was told goes on', () => {
    const encoder = renderer.stream(ANSWER);
    for (const event of [call(0), piece(0, '{'), text('a')]) encoder.encode(event, 0);
    expect(() => encoder.encode(piece(0, '}'), 0)).toThrow('a tool call that had ended');
  });

  it('says that it failed, and never that it ended', () => {
    const failed = renderer.stream(ANSWER).error(new ServingError('backend_error'), 'req_1');
    expect(failed).toBe(
      'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"The model’s backend failed."},"request_id":"req_1"}\n\n',
    );
  });
});
