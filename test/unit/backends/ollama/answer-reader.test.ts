import { describe, expect, it } from 'vitest';
import { LogprobsBuffer, OllamaAnswerReader } from '../../../../src/backends/ollama/answer-reader.ts';
import type { GenerationEvent } from '../../../../src/core/generation.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { chatRequest, generateAll, neverAborted } from '../../../support/stand-ins/generate.ts';
import { recording } from '../../../support/stand-ins/recording.ts';
import { runningOllama } from '../../../support/stand-ins/running-ollama.ts';

const DONE = { done: true, done_reason: 'stop', prompt_eval_count: 3, eval_count: 2 };

function read(lines: readonly string[], { logprobs = false } = {}): GenerationEvent[] {
  const events: GenerationEvent[] = [];
  const reader = new OllamaAnswerReader({
    sink: { event: (event) => void events.push(event) },
    context: { model: 'smollm2', contextSize: undefined, clock: systemClock },
    logprobs: logprobs ? new LogprobsBuffer(() => {}) : undefined,
    usedCallIds: new Set(),
    onFinish: () => {},
  });
  for (const line of lines) reader.line(line);
  reader.end();
  return events;
}

function readPieces(pieces: readonly object[], options?: { logprobs: boolean }): GenerationEvent[] {
  return read(
    pieces.map((piece) => JSON.stringify(piece)),
    options,
  );
}

function token(text: string) {
  return { token: text, logprob: -1, bytes: [...Buffer.from(text)] };
}

describe('a line that cannot be read', () => {
  const piece = (content: string) => JSON.stringify({ message: { content } });
  const broken = (failure: string) => expect.objectContaining({ code: 'backend_error', failure });

  it('is skipped where it cannot have held text', () => {
    expect(read([piece('one'), 'ping', piece(' two'), JSON.stringify(DONE)])).toMatchObject([
      {},
      { text: 'one' },
      { text: ' two' },
      { type: 'finish' },
    ]);
  });

  it('breaks the answer otherwise', () => {
    expect(() => read([piece('one'), '{"message":{"content":" tw', piece(' three')])).toThrow(
      broken('garbage'),
    );
    expect(() => read([piece('one'), 'a', 'b', 'c', JSON.stringify(DONE)])).toThrow(broken('garbage'));
    expect(() => read([piece('one'), '{"done":tr'])).toThrow(broken('garbage'));
    expect(() => read([piece('one'), 'ping'])).toThrow(broken('cut'));
  });
});

describe('an answer', () => {
  it('with a call is read as it was recorded', () => {
    expect(read(recording('ollama/chat-stream-tool-call').body.split('\n'))).toEqual([
      { type: 'start' },
      { type: 'tool-call', index: 0, id: 'call_0', name: 'get_weather' },
      { type: 'tool-arguments', index: 0, delta: '{"city":"Paris"}' },
      {
        type: 'finish',
        reason: 'tool_calls',
        usage: { promptTokens: 70, completionTokens: 30, cachedTokens: 0 },
      },
    ]);
  });

  it('may have all of its text in its last line, and text before a call', () => {
    expect(readPieces([{ message: { content: 'all' }, ...DONE }])).toMatchObject([
      { type: 'start' },
      { type: 'text', text: 'all' },
      { type: 'finish', reason: 'stop' },
    ]);
    const call = { function: { name: 'clock', arguments: {} } };
    expect(
      readPieces([{ message: { content: 'Let me see.' } }, { message: { tool_calls: [call] }, ...DONE }]),
    ).toMatchObject([{}, { text: 'Let me see.' }, { name: 'clock' }, {}, { reason: 'tool_calls' }]);
  });

  it('that was cut off after a call ends with length', () => {
    const call = { function: { name: 'clock', arguments: {} } };
    const lines = [{ message: { tool_calls: [call] } }, { ...DONE, done_reason: 'length' }];
    expect(readPieces(lines).at(-1)).toMatchObject({ reason: 'length' });
  });

  it('gives calls that share an id one each', () => {
    const call = (name: string) => ({ id: 'call_x', function: { name, arguments: {} } });
    const events = readPieces([{ message: { tool_calls: [call('a'), call('b')] }, ...DONE }]);
    const heads = events.filter(({ type }) => type === 'tool-call');
    expect(heads).toMatchObject([
      { index: 0, id: 'call_x' },
      { index: 1, id: 'call_1' },
    ]);
  });
});

describe('an answer fails', () => {
  it.each([
    ['with a call that has no name', { message: { tool_calls: [{ function: { arguments: {} } }] }, ...DONE }],
    [
      'with arguments that are not an object',
      { message: { tool_calls: [{ function: { name: 'a', arguments: '{"x' } }] } },
    ],
    ['with an error that is an object', { error: { code: 500 } }],
    ['with an error that is empty', { error: '' }],
    ['when its runner is gone, which has no reason', { ...DONE, done_reason: undefined }],
    ['when the model was loaded and asked nothing', { ...DONE, done_reason: 'load' }],
    ['when the model was unloaded', { ...DONE, done_reason: 'unload' }],
  ])('%s', (_, piece) => {
    expect(() => readPieces([{ message: { content: 'a' } }, piece, DONE])).toThrow(
      expect.objectContaining({ code: 'backend_error' }),
    );
  });

  it('but not with arguments that are given as text', () => {
    const call = { function: { name: 'clock', arguments: '{"zone":"UTC"}' } };
    expect(readPieces([{ message: { tool_calls: [call] }, ...DONE }])).toContainEqual({
      type: 'tool-arguments',
      index: 0,
      delta: '{"zone":"UTC"}',
    });
  });
});

describe('log-probabilities', () => {
  it('are read as they were recorded', () => {
    const events = read([recording('ollama/chat-logprobs').body], { logprobs: true });
    expect(events[1]).toMatchObject({
      type: 'text',
      text: "I'm glad",
      logprobs: [
        {
          bytes: [73],
          logprob: -2.1961562633514404,
          top: [
            { bytes: [73], logprob: -2.1961562633514404 },
            { bytes: [84, 104, 101], logprob: -2.1996772289276123 },
          ],
        },
        { bytes: [39, 109] },
        { bytes: [32, 103, 108, 97, 100] },
      ],
    });
    expect(events[1]).not.toHaveProperty('logprobs[0].token');
  });

  it('that come before their text wait for it', () => {
    const events = readPieces(
      [
        { message: { content: '' }, logprobs: [token('a')] },
        { message: { content: 'ab' }, logprobs: [token('b')] },
        DONE,
      ],
      { logprobs: true },
    );
    expect(events[1]).toMatchObject({ text: 'ab', logprobs: [{ bytes: [97] }, { bytes: [98] }] });
  });

  it('of thoughts and calls are not told', () => {
    const call = { function: { name: 'clock', arguments: {} } };
    const events = readPieces(
      [
        { message: { content: '', thinking: 'hm' }, logprobs: [token('hm')] },
        { message: { content: 'a' }, logprobs: [token('a')] },
        { message: { content: '', tool_calls: [call] }, logprobs: [token('}')] },
        { message: { content: 'b' }, logprobs: [token('b')] },
        DONE,
      ],
      { logprobs: true },
    );
    const told = events.flatMap((event) => (event.type === 'text' ? event.logprobs : []));
    expect(told).toEqual([
      { bytes: [97], logprob: -1, top: [] },
      { bytes: [98], logprob: -1, top: [] },
    ]);
  });

  it('are asked for by name, with as many others as are wished', async () => {
    const { standIn, backend } = await runningOllama();
    const { events } = await generateAll(backend, chatRequest('hello', { logprobs: { top: 2 } }));
    expect(standIn.seen().at(-1)?.body).toMatchObject({ logprobs: true, top_logprobs: 2 });
    expect(events[1]).toMatchObject({ type: 'text', logprobs: [{ top: [{}, {}] }] });
  });

  it('are refused with nothing told when an old release ignores the wish, and at once from then on', async () => {
    const { standIn, backend } = await runningOllama({ release: '0.6.5' });
    const request = chatRequest('hello', { logprobs: { top: 0 } });
    for (const _ of [1, 2]) {
      const { events, error } = await generateAll(backend, request);
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'logprobs' });
      expect(events).toEqual([]);
    }
    expect(standIn.counts().started).toBe(1);
    await standIn.setFault('refuse');
    await backend.probe({ signal: neverAborted() });
    await standIn.setFault('none');
    await generateAll(backend, request);
    expect(standIn.counts().started).toBe(2);
  });
});
