import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AnswerBounds,
  OpenAiAnswerReader,
  RepeatedChunk,
} from '../../../../src/backends/openai-compatible/answer-reader.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import type { GenerationEvent, LogprobsOptions } from '../../../../src/core/generation.ts';
import { EventReader } from '../../../../src/upstream/stream-reader.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { recordedJson, recording } from '../../../support/stand-ins/recording.ts';

describe('answer reader', () => {
  const BOUNDS = { maxTokens: 60, contextSize: 2048 };

  interface Told {
    /** What comes after the start. */
    readonly events: GenerationEvent[];
    readonly start: GenerationEvent | undefined;
    readonly usageMissing: boolean;
  }

  function read(body: string, logprobs?: LogprobsOptions, bounds: AnswerBounds = BOUNDS): Told {
    const events: GenerationEvent[] = [];
    let usageMissing = false;
    const answer = new OpenAiAnswerReader({
      sink: { event: (event) => void events.push(event) },
      clock: new FakeClock(),
      bounds,
      responseError: (status) => new ServingError('invalid_request', { message: `refused with ${status}` }),
      logprobs,
      onFinish: () => {},
      onUsageMissing: () => {
        usageMissing = true;
      },
    });
    const reader = new EventReader((event) => answer.event(event), {
      onMalformed: (line) => answer.malformed(line),
    });
    reader.push(Buffer.from(body));
    reader.end();
    answer.end();
    answer.dispose();
    const [start, ...rest] = events;
    expect(start).toMatchObject({ type: 'start' });
    return { start, events: rest, usageMissing };
  }

  const sse = (...chunks: readonly unknown[]) =>
    [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), 'data: [DONE]\n\n'].join('');
  const choice = (fields: Record<string, unknown>) => ({ choices: [{ index: 0, ...fields }] });
  const calling = (...calls: readonly unknown[]) => choice({ delta: { content: null, tool_calls: calls } });
  const finish = (finish_reason: string) => choice({ delta: {}, finish_reason });
  const usage = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 9 } };
  const heads = (events: readonly GenerationEvent[]) => events.filter(({ type }) => type === 'tool-call');
  const argumentsOf = (events: readonly GenerationEvent[], index: number) =>
    events
      .map((event) => (event.type === 'tool-arguments' && event.index === index ? event.delta : ''))
      .join('');
  const finishOf = (events: readonly GenerationEvent[]) => events.find(({ type }) => type === 'finish');

  describe('an event that cannot be read', () => {
    const text = (content: string) => `data: ${JSON.stringify(choice({ delta: { content } }))}\n\n`;
    const END = sse(finish('stop'), usage);
    const textOf = (events: readonly GenerationEvent[]) =>
      events.map((event) => (event.type === 'text' ? event.text : '')).join('');

    it('reads lists of parts, as Mistral’s reasoning models stream them, and plain text after them', () => {
      const parts = (...content: readonly unknown[]) => choice({ delta: { content }, finish_reason: null });
      const thinking = (text: string) => ({ type: 'thinking', thinking: [{ type: 'text', text }] });
      const { events } = read(
        sse(
          choice({ delta: { role: 'assistant', content: '' }, finish_reason: null }),
          parts(thinking('Let me ')),
          parts(thinking('see.')),
          parts({ type: 'thinking', thinking: 'So.' }, { type: 'text', text: 'It' }),
          choice({ delta: { content: ' is' }, finish_reason: null }),
          parts({ type: 'reference', reference_ids: [3] }),
          choice({ delta: { content: ' 4.' }, finish_reason: null }),
          { ...finish('stop'), usage: usage.usage },
        ),
      );
      expect(events.slice(0, -1)).toEqual([
        { type: 'reasoning', text: 'Let me ' },
        { type: 'reasoning', text: 'see.' },
        { type: 'reasoning', text: 'So.' },
        { type: 'text', text: 'It' },
        { type: 'text', text: ' is' },
        { type: 'text', text: ' 4.' },
      ]);
      expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'stop' });
    });

    it('is skipped where it cannot have held text', () => {
      const { events } = read(`${text('one')}data: ping\n\n${text(' two')}: ok\n\ndata: []\n\n${END}`);
      expect(textOf(events)).toBe('one two');
      expect(finishOf(events)).toMatchObject({ reason: 'stop', usage: { completionTokens: 9 } });
    });

    it.each([
      ['half an event', 'data: {"choices":[{"delta":{"content":"tw\n\n'],
      ['an event without its field', '{"choices":[{"delta":{"content":" two"}}]}\n\n'],
      ['three in a row', 'data: a\n\ndata: b\n\ndata: c\n\n'],
    ])('breaks the answer otherwise: %s', (_, broken) => {
      expect(() => read(`${text('one')}${broken}${text(' three')}${END}`)).toThrow(
        expect.objectContaining({ code: 'backend_error', failure: 'garbage' }),
      );
    });

    it('as the last one leaves a complete answer complete, without its usage', () => {
      const { events, usageMissing } = read(
        `${text('one')}data: ${JSON.stringify(finish('stop'))}\n\ndata: {"choices":[],"usa`,
      );
      expect(finishOf(events)).toMatchObject({ reason: 'stop', usage: { completionTokens: 1 } });
      expect(usageMissing).toBe(true);
    });

    it('as the last one of an answer that is not complete is a cut', () => {
      expect(() => read(`${text('one')}data: ping\n\n`)).toThrow(expect.objectContaining({ failure: 'cut' }));
    });
  });

  describe('tool calls', () => {
    it('come as vllm was recorded to send them', () => {
      const { events } = read(recording('vllm/chat-tools-required').body);
      expect(heads(events)).toEqual([
        { type: 'tool-call', index: 0, id: 'chatcmpl-tool-81c5620b8bfd01e9', name: 'get_weather' },
      ]);
      expect(argumentsOf(events, 0)).toBe('"gabenwelter"');
      expect(finishOf(events)).toMatchObject({ reason: 'tool_calls' });
    });

    it('stay away where llama-server was recorded to call none though one was required', () => {
      const { events } = read(recording('llama-server/chat-tools-required').body);
      expect(heads(events)).toEqual([]);
      expect(finishOf(events)).toMatchObject({ reason: 'length' });
    });

    it('may come whole in one delta, without an id, and end with "stop"', () => {
      const call = { index: 0, function: { name: 'clock', arguments: '{"zone":"UTC"}' } };
      const { events } = read(sse(calling(call), finish('stop'), usage));
      expect(heads(events)).toEqual([
        { type: 'tool-call', index: 0, id: expect.stringMatching(/^call_\w{8,}$/), name: 'clock' },
      ]);
      expect(argumentsOf(events, 0)).toBe('{"zone":"UTC"}');
      expect(finishOf(events)).toMatchObject({ reason: 'tool_calls', usage: { completionTokens: 9 } });
    });

    it.each([
      ['numbered', { index: 0 }, { index: 1 }],
      ['all numbered 0', { index: 0 }, { index: 0 }],
      ['numbered with gaps', { index: 2 }, { index: 7 }],
      ['not numbered', {}, {}],
    ])('are told apart when they are %s', (_, one, other) => {
      const { events } = read(
        sse(
          calling({ ...one, id: 'a', function: { name: 'first', arguments: '' } }),
          calling({ ...one, function: { arguments: '{"a"' } }),
          calling({ ...one, function: { arguments: ':1}' } }),
          calling({ ...other, id: 'b', function: { name: 'second', arguments: '{"b":2}' } }),
          finish('tool_calls'),
        ),
      );
      expect(heads(events)).toEqual([
        { type: 'tool-call', index: 0, id: 'a', name: 'first' },
        { type: 'tool-call', index: 1, id: 'b', name: 'second' },
      ]);
      expect([argumentsOf(events, 0), argumentsOf(events, 1)]).toEqual(['{"a":1}', '{"b":2}']);
    });

    it('have an object as arguments, where the server sends it as one or sends nothing', () => {
      const { events } = read(
        sse(
          calling({ index: 0, id: 'a', function: { name: 'first' } }),
          calling({ index: 1, id: 'b', function: { name: 'second', arguments: { b: 2 } } }),
          finish('tool_calls'),
        ),
      );
      expect([argumentsOf(events, 0), argumentsOf(events, 1)]).toEqual(['{}', '{"b":2}']);
    });

    it('are told apart by their names where all are numbered 0 and have empty ids', () => {
      const call = (name: string, text: string) => ({
        index: 0,
        id: '',
        function: { name, arguments: text },
      });
      const { events } = read(
        sse(
          calling(call('f', '{"x":'), call('f', '1}'), call('g', '{"y":2}'), call('g', '{"y":3}')),
          finish('stop'),
        ),
      );
      expect(heads(events)).toMatchObject([{ name: 'f' }, { name: 'g' }, { name: 'g' }]);
      expect([0, 1, 2].map((index) => argumentsOf(events, index))).toEqual(['{"x":1}', '{"y":2}', '{"y":3}']);
    });

    it('go by their ids where they are not numbered and each delta has its head again', () => {
      const call = (id: string, text: string) => ({ id, function: { name: 'clock', arguments: text } });
      const { events } = read(
        sse(
          calling(call('a', '{"x"')),
          calling(call('b', '{"y"')),
          calling(call('a', ':1}'), call('b', ':2}')),
          finish('stop'),
        ),
      );
      expect(heads(events)).toMatchObject([{ id: 'a' }, { id: 'b' }]);
      expect([argumentsOf(events, 0), argumentsOf(events, 1)]).toEqual(['{"x":1}', '{"y":2}']);
    });

    it('may all begin before the arguments of any come', () => {
      const head = (index: number) => ({
        index,
        id: `id_${index}`,
        function: { name: 'clock', arguments: '' },
      });
      const piece = (index: number, text: string) => ({ index, function: { arguments: text } });
      const { events } = read(
        sse(
          calling(head(0), head(1), head(2)),
          calling(piece(0, '{"x":1}'), piece(1, '{"y":2}')),
          finish('stop'),
        ),
      );
      expect([0, 1, 2].map((index) => argumentsOf(events, index))).toEqual(['{"x":1}', '{"y":2}', '{}']);
    });

    it('wait for their name, and fail the answer when none comes', () => {
      const early = calling({ index: 0, id: 'a', function: { arguments: '{' } });
      const named = calling({ index: 0, function: { name: 'late', arguments: '}' } });
      const { events } = read(sse(early, named, finish('tool_calls')));
      expect(events.map(({ type }) => type)).toEqual([
        'tool-call',
        'tool-arguments',
        'tool-arguments',
        'finish',
      ]);
      expect(argumentsOf(events, 0)).toBe('{}');
      expect(() => read(sse(early, finish('tool_calls')))).toThrow(
        expect.objectContaining({ code: 'backend_error' }),
      );
    });

    it('keep the answer from being a success when it breaks off', () => {
      const cut = sse(calling({ index: 0, id: 'a', function: { name: 'clock', arguments: '{' } }));
      expect(() => read(cut)).toThrow(expect.objectContaining({ code: 'backend_error' }));
    });
  });

  describe('a call in which the answer was cut', () => {
    const begun = [
      calling({ index: 0, id: 'a', function: { name: 'first', arguments: '{"a":1}' } }),
      calling({ index: 1, id: 'b', function: { name: 'second', arguments: '{"city": "Par' } }),
    ];
    const used = (prompt_tokens: number, completion_tokens: number) => ({
      choices: [],
      usage: { prompt_tokens, completion_tokens },
    });

    it('is no complete one, though the server says that calls ended the answer', () => {
      for (const reason of ['tool_calls', 'stop']) {
        const { events } = read(sse(...begun, finish(reason), used(3, 60)));
        expect(finishOf(events)).toMatchObject({ reason: 'length', usage: { completionTokens: 60 } });
        expect(argumentsOf(events, 1)).toBe('{"city": "Par');
      }
    });

    it('is known by the context too, where there is no other bound', () => {
      const { events } = read(sse(...begun, finish('tool_calls'), used(2000, 48)), undefined, {
        maxTokens: undefined,
        contextSize: 2048,
      });
      expect(finishOf(events)).toMatchObject({ reason: 'length' });
    });

    it('is known by its text where the server tells no usage', () => {
      const { events } = read(sse(...begun, finish('tool_calls')));
      expect(finishOf(events)).toMatchObject({ reason: 'length' });
    });

    it('is not taken for one that the model has broken off by itself, nor for a whole one at the bound', () => {
      expect(finishOf(read(sse(...begun, finish('tool_calls'), used(3, 20))).events)).toMatchObject({
        reason: 'tool_calls',
      });
      const whole = read(sse(begun[0], finish('tool_calls'), used(3, 60)));
      expect(finishOf(whole.events)).toMatchObject({ reason: 'tool_calls' });
    });

    it('may have been cut before its name: nothing was called, and the bound is reached', () => {
      const opening = choice({ delta: { role: 'assistant', content: '' } });
      const { events } = read(sse(opening, finish('tool_calls'), used(3, 60)));
      expect(events).toMatchObject([{ type: 'finish', reason: 'length' }]);
      expect(finishOf(read(sse(opening, finish('tool_calls'), used(3, 20))).events)).toMatchObject({
        reason: 'stop',
      });
    });

    it('has nothing made up for it: no arguments, and no name', () => {
      const head = calling({ index: 0, id: 'a', function: { name: 'first', arguments: '' } });
      const { events } = read(sse(head, finish('tool_calls'), used(3, 60)));
      expect(events.map(({ type }) => type)).toEqual(['tool-call', 'finish']);
      expect(finishOf(events)).toMatchObject({ reason: 'length' });
      const nameless = calling({ index: 0, id: 'a', function: { arguments: '{' } });
      expect(read(sse(nameless, finish('length'), used(3, 60))).events.map(({ type }) => type)).toEqual([
        'finish',
      ]);
    });
  });

  describe('the start', () => {
    it('tells the prompt’s length where the first chunk does, by its usage or as progress', () => {
      const hi = choice({ delta: { content: 'hi' } });
      const counted = { ...hi, usage: { prompt_tokens: 7, completion_tokens: 0 } };
      expect(read(sse(counted, finish('stop'))).start).toMatchObject({ promptTokens: 7 });
      const progress = { choices: [], prompt_progress: { total: 9, cache: 4, processed: 9, time_ms: 1 } };
      expect(read(sse(progress, hi, finish('stop'))).start).toEqual({
        type: 'start',
        promptTokens: 9,
        cachedTokens: 4,
      });
      expect(read(sse(hi, finish('stop'))).start).toEqual({ type: 'start' });
    });
  });

  describe('an error in the stream', () => {
    const error = (code: unknown) => ({ error: { message: 'bad schema', type: 'BadRequestError', code } });

    it('refuses the request where it comes before the first piece and says so', () => {
      expect(() => read(sse(error(400)))).toThrow(
        expect.objectContaining({ code: 'invalid_request', message: 'refused with 400' }),
      );
    });

    it.each([
      ['after a piece', sse(choice({ delta: { content: 'hi' } }), error(400))],
      ['with a code of another kind', sse(error(500))],
      ['without a code', sse(error(null))],
    ])('is a failure of the server %s', (_, body) => {
      expect(() => read(body)).toThrow(expect.objectContaining({ code: 'backend_error' }));
    });
  });

  describe('the end', () => {
    it.each([
      ['stop', 'stop'],
      ['length', 'length'],
      ['content_filter', 'content_filter'],
      ['tool_calls', 'stop'],
      ['eos', 'stop'],
    ])('%s without calls is told as %s', (reason, told) => {
      const { events } = read(sse(choice({ delta: { content: 'hi' } }), finish(reason)));
      expect(finishOf(events)).toMatchObject({ reason: told });
    });

    it('has the last usage where each chunk has one, and where the last one comes with the reason', () => {
      const counted = (completion_tokens: number) => ({ usage: { prompt_tokens: 3, completion_tokens } });
      const { events, usageMissing } = read(
        sse(
          { ...choice({ delta: { content: 'a' } }), ...counted(1) },
          { ...choice({ delta: { content: 'b' }, finish_reason: 'length' }), ...counted(2) },
          { choices: [], ...counted(2) },
        ),
      );
      expect(finishOf(events)).toMatchObject({
        usage: { promptTokens: 3, completionTokens: 2, cachedTokens: 0 },
      });
      expect(usageMissing).toBe(false);
    });

    it('waits for the usage of the whole answer where each chunk has one: it alone tells what was cached', () => {
      const counted = (completion_tokens: number) => ({ usage: { prompt_tokens: 30, completion_tokens } });
      const details = { prompt_tokens_details: { cached_tokens: 16 } };
      const { events } = read(
        sse(
          { ...choice({ delta: { content: '' } }), ...counted(0) },
          { ...choice({ delta: { content: 'a' }, finish_reason: 'stop' }), ...counted(1) },
          { choices: [], usage: { ...counted(1).usage, ...details } },
        ),
      );
      expect(finishOf(events)).toMatchObject({ usage: { promptTokens: 30, cachedTokens: 16 } });
    });

    it('shows a refusal as the text that it is', () => {
      const { events } = read(sse(choice({ delta: { refusal: 'I cannot.' } }), finish('stop')));
      expect(events[0]).toEqual({ type: 'text', text: 'I cannot.' });
    });
  });

  describe('log-probabilities', () => {
    const entry = (token: string, bytes: readonly number[] | null = null) => ({
      token,
      logprob: -0.5,
      bytes,
      top_logprobs: [],
    });

    it('come as vllm was recorded to tell them', () => {
      const [told] = recordedJson('vllm/chat-logprobs').choices as { logprobs: unknown }[];
      const { events } = read(
        sse(choice({ delta: { content: 'Hello! How' }, logprobs: told?.logprobs }), finish('length')),
        { top: 2 },
      );
      const [text] = events;
      if (text?.type !== 'text' || text.logprobs === undefined) throw new Error('no log-probabilities');
      expect(Buffer.from(text.logprobs.flatMap(({ bytes }) => [...bytes])).toString()).toBe('Hello! How');
      expect(text.logprobs[0]).toEqual({
        bytes: [72, 101, 108, 108, 111],
        logprob: -0.5483046174049377,
        top: [
          { bytes: [72, 101, 108, 108, 111], logprob: -0.5483046174049377 },
          { bytes: [72, 105], logprob: -2.423304557800293 },
        ],
      });
    });

    it('of parts of a character wait for its text; those of thoughts are left out', () => {
      const { events } = read(
        sse(
          choice({ delta: { reasoning: 'hm' }, logprobs: { content: [entry('hm')] } }),
          choice({ delta: { content: '' }, logprobs: { content: [entry('', [240, 159])] } }),
          choice({ delta: { content: '🦊' }, logprobs: { content: [entry('', [166, 138])] } }),
          finish('stop'),
        ),
        { top: 0 },
      );
      expect(events[1]).toEqual({
        type: 'text',
        text: '🦊',
        logprobs: [
          { bytes: [240, 159], logprob: -0.5, top: [] },
          { bytes: [166, 138], logprob: -0.5, top: [] },
        ],
      });
    });

    it('of what is neither text nor a call are not told as those of a later text', () => {
      const { events } = read(
        sse(
          choice({ delta: {}, logprobs: { content: [entry('<hidden>')] } }),
          choice({ delta: { content: '' }, logprobs: { content: [entry('', [240])] } }),
          calling({ index: 0, id: 'a', function: { name: 'clock', arguments: '{}' } }),
          choice({ delta: { content: 'a' }, logprobs: { content: [entry('a')] } }),
          finish('stop'),
        ),
        { top: 0 },
      );
      expect(events.find(({ type }) => type === 'text')).toMatchObject({ logprobs: [{ bytes: [97] }] });
      expect(JSON.stringify(events)).not.toContain('240');
    });

    it('are read from the older form, likeliest first, no more than were asked for', () => {
      const logprobs = {
        tokens: [' a'],
        token_logprobs: [-2],
        top_logprobs: [{ ' a': -2, ' b': -0.1, ' c': -3 }],
      };
      const { events } = read(sse(choice({ text: ' a', logprobs, finish_reason: 'length' })), { top: 2 });
      expect(events[0]).toMatchObject({
        logprobs: [
          {
            bytes: [32, 97],
            logprob: -2,
            top: [
              { bytes: [32, 98], logprob: -0.1 },
              { bytes: [32, 97], logprob: -2 },
            ],
          },
        ],
      });
    });

    it('are not read unasked', () => {
      const told = choice({ delta: { content: 'hi' }, logprobs: { content: [entry('hi')] } });
      expect(read(sse(told, finish('stop'))).events[0]).toEqual({ type: 'text', text: 'hi' });
    });
  });
});

describe('chunks that repeat', () => {
  const chunkOf = (content: string, space = '') =>
    `{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":${space}${JSON.stringify(content)}},"logprobs":null,"finish_reason":null}]}`;

  function learned(data = chunkOf(' a'), text = ' a'): RepeatedChunk {
    const repeated = new RepeatedChunk();
    repeated.learn(data, text);
    return repeated;
  }

  it('reads the text of a chunk that differs in its text alone, however its JSON is spaced', () => {
    expect(learned().textOf(chunkOf(' Paris'))).toBe(' Paris');
    expect(learned(chunkOf('a', ' '), 'a').textOf(chunkOf('日本', ' '))).toBe('日本');
  });

  it('reads nothing before it has learned one', () => {
    expect(new RepeatedChunk().textOf(chunkOf('a'))).toBeUndefined();
  });

  it.each([
    ['another field', chunkOf('a').replace('"logprobs":null', '"logprobs":{}')],
    ['an end', chunkOf('a').replace('"finish_reason":null', '"finish_reason":"stop"')],
    ['another id', chunkOf('a').replace('chatcmpl-1', 'chatcmpl-2')],
    ['an escaped character', chunkOf('a\nb')],
    ['a quotation mark', chunkOf('say "a"')],
    ['no text', chunkOf('')],
    ['one field more', chunkOf('a').replace('"content":"a"', '"content":"a","tool_calls":[]')],
    ['half a chunk', chunkOf('a').slice(0, -4)],
  ])('leaves to the parser what has %s', (_, data) => {
    expect(learned().textOf(data)).toBeUndefined();
  });

  it('learns nothing from a chunk whose text is written in another way, or beside a field of the same name', () => {
    for (const [data, text] of [
      [chunkOf('é').replace('é', '\\u00e9'), 'é'],
      [chunkOf('a\tb'), 'a\tb'],
      [chunkOf(''), ''],
      ['{"meta":{"content":"a"},"choices":[{"delta":{"content":"a"}}]}', 'a'],
    ] as const)
      expect(learned(data, text).textOf(data)).toBeUndefined();
  });

  it('gives what the parser gives, or nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (text) => {
        const read = learned().textOf(chunkOf(text));
        if (read !== undefined) expect(read).toBe(text);
      }),
    );
  });
});
