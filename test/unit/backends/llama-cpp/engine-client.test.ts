/** Requests to the engine, and the port's calls made of them: who gets what, and when the engine is free of it. */
import { describe, expect, it } from 'vitest';
import {
  embedInEngine,
  engineTokenizer,
  PendingRequests,
  runInEngine,
} from '../../../../src/backends/llama-cpp/engine-client.ts';
import type {
  EngineEvent,
  EngineGenerationRequest,
  ToEngine,
} from '../../../../src/backends/llama-cpp/messages.ts';
import type { GenerationSink } from '../../../../src/core/backend.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../../src/core/generation.ts';
import { RunningGeneration } from '../../../../src/core/sink.ts';
import { FAKE_GENERATION } from '../../../support/fake-engine.ts';

type EngineRequest = Omit<EngineGenerationRequest, 'id'>;

const GONE = new ServingError('client_gone');
const TEXT = { kind: 'text', prompt: 'ab' } as const;
const text = (of: string): GenerationEvent => ({ type: 'text', text: of });
const finish: GenerationEvent = {
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
};

/** Requests to an engine that a test plays, and the messages that it got. */
function engine() {
  const sent: ToEngine[] = [];
  const requests = new PendingRequests((message) => void sent.push(message));
  const handleOf = (id: number) => ({
    abort: () => requests.abort(id),
    pause: () => requests.pause(id),
    resume: () => requests.resume(id),
  });
  return { requests, sent, handleOf, types: () => sent.map(({ type }) => type) };
}

/** A generation that is sent at once, or when it is prepared; what its sink got, and the engine's end of it. */
function open({
  prepare,
  sink,
}: {
  readonly prepare?: (signal: AbortSignal) => Promise<EngineRequest>;
  readonly sink?: GenerationSink;
} = {}) {
  const { requests, sent, handleOf, types } = engine();
  const received: (GenerationEvent | ServingError)[] = [];
  const recording: GenerationSink = {
    event: (event) => void received.push(event),
    fail: (error) => void received.push(error),
  };
  const generation = new RunningGeneration(sink ?? recording, async (running) => {
    const request = prepare === undefined ? FAKE_GENERATION : await prepare(running.signal);
    await runInEngine(running, (engineSink) => {
      const id = requests.addGeneration(request, engineSink);
      requests.send(id);
      return handleOf(id);
    });
  });
  const engineSends = (event: EngineEvent['event']) => requests.deliver({ id: 1, event });
  return { generation, requests, sent, received, engineSends, types };
}

/** Undefined while it is pending. */
async function stateOf(outcome: Promise<unknown>): Promise<unknown> {
  return Promise.race([outcome, new Promise((resolve) => setImmediate(() => resolve(undefined)))]);
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  return (await stateOf(promise.then(() => true))) === true;
}

describe('a generation in the engine', () => {
  it('passes on what the engine sends, in the same turn and as it is, and nothing after finish', async () => {
    const { generation, received, engineSends } = open();
    const call: GenerationEvent = { type: 'tool-call', index: 0, id: 'call_1', name: 'add' };
    const events = [text('a'), call, finish];
    for (const event of events) engineSends(event);
    expect(received).toEqual(events);
    expect(received[1]).toBe(call);
    engineSends(text('late'));
    expect(received).toHaveLength(3);
    await generation.released;
  });

  it('fails as the engine says, with the field at fault', async () => {
    const { generation, received, engineSends } = open();
    engineSends({ type: 'failed', code: 'invalid_request', param: 'prompt', message: 'no' });
    await generation.released;
    expect(received).toEqual([expect.objectContaining({ code: 'invalid_request', param: 'prompt' })]);
  });

  it('has told its sink of a cancellation when that returns, and is released when the engine is free of it', async () => {
    const { generation, received, sent, engineSends } = open();
    engineSends(text('a'));
    generation.cancel(GONE);
    expect(received).toEqual([text('a'), GONE]);
    expect(sent.at(-1)).toEqual({ type: 'abort', id: 1 });
    engineSends(text('late'));
    expect(await isSettled(generation.released)).toBe(false);
    engineSends({ type: 'freed' });
    expect(await isSettled(generation.released)).toBe(true);
    expect(received).toEqual([text('a'), GONE]);
  });

  it.each([
    ['finished', finish],
    ['failed', { type: 'failed', code: 'backend_error', message: 'no' }],
  ] as const)('is released as well when it %s while the abort was on its way', async (_, end) => {
    const { generation, received, engineSends } = open();
    generation.cancel(GONE);
    engineSends(end);
    await generation.released;
    expect(received).toEqual([GONE]);
  });

  it('is released with the engine that had it', async () => {
    const { generation, received, requests } = open();
    generation.cancel(GONE);
    requests.failSent(new ServingError('backend_error'));
    await generation.released;
    expect(received).toEqual([GONE]);
  });

  it('does nothing more once it has ended', () => {
    const { generation, received, types, engineSends } = open();
    engineSends(finish);
    generation.pause();
    generation.resume();
    generation.cancel(GONE);
    expect(types()).toEqual(['generate']);
    expect(received).toEqual([finish]);
  });

  it('is cancelled once', () => {
    const { generation, received, types } = open();
    generation.cancel(GONE);
    generation.cancel(new ServingError('deadline_exceeded'));
    generation.pause();
    expect(types()).toEqual(['generate', 'abort']);
    expect(received).toEqual([GONE]);
  });

  it('may be cancelled from within its own sink', () => {
    const received: unknown[] = [];
    const { generation, engineSends } = open({
      sink: {
        event(event) {
          received.push(event);
          generation.cancel(GONE);
        },
        fail: (error) => void received.push(error),
      },
    });
    for (const event of [text('a'), text('b'), finish]) engineSends(event);
    expect(received).toEqual([text('a'), GONE]);
  });
});

describe('a generation that is paused', () => {
  it('lets the engine rest until it is resumed; events that come meanwhile are passed on', () => {
    const { generation, requests, sent, received, engineSends } = open();
    generation.pause();
    generation.pause();
    engineSends(text('a'));
    expect(requests.hasWork).toBe(false);
    generation.resume();
    generation.resume();
    expect(requests.hasWork).toBe(true);
    expect(sent.slice(1)).toEqual([
      { type: 'pause', id: 1 },
      { type: 'resume', id: 1 },
    ]);
    expect(received).toEqual([text('a')]);
  });

  it('and then cancelled is the engine’s work until it is free of it', async () => {
    const { generation, requests, types, engineSends } = open();
    generation.pause();
    generation.cancel(GONE);
    expect(types()).toEqual(['generate', 'pause', 'abort']);
    expect(requests.hasWork).toBe(true);
    engineSends({ type: 'freed' });
    expect(requests.hasWork).toBe(false);
    await generation.released;
  });

  it('before the engine has it, is paused there', () => {
    const { requests, types } = engine();
    const sink = { event() {}, failed() {}, freed() {} };
    const [paused, resumed] = [
      requests.addGeneration(FAKE_GENERATION, sink),
      requests.addGeneration(FAKE_GENERATION, sink),
    ];
    requests.pause(paused);
    requests.pause(resumed);
    requests.resume(resumed);
    expect(types()).toEqual([]);
    requests.sendAll();
    expect(types()).toEqual(['generate', 'pause', 'generate']);
  });
});

describe('a generation that is prepared', () => {
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it('runs then, and not before; paused, if it was paused meanwhile', async () => {
    const { generation, types } = open({ prepare: async () => FAKE_GENERATION });
    generation.pause();
    expect(types()).toEqual([]);
    await settled();
    expect(types()).toEqual(['generate', 'pause']);
  });

  it('fails with what its preparation throws, and is released', async () => {
    for (const [thrown, code] of [
      [new ServingError('invalid_request'), 'invalid_request'],
      [new Error('a fault'), 'internal'],
    ] as const) {
      const { generation, received } = open({ prepare: () => Promise.reject(thrown) });
      expect(received).toEqual([]);
      await generation.released;
      expect(received).toEqual([expect.objectContaining({ code })]);
    }
  });

  it('cancelled meanwhile, ends its preparation, is released after that, and never runs', async () => {
    let prepared = (_: EngineRequest) => {};
    let reason: unknown;
    const { generation, received, types } = open({
      prepare: (signal) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
        });
        return new Promise((resolve) => {
          prepared = resolve;
        });
      },
    });
    generation.cancel(GONE);
    expect([received, reason]).toEqual([[GONE], GONE]);
    expect(await isSettled(generation.released)).toBe(false);
    prepared(FAKE_GENERATION);
    await generation.released;
    expect(types()).toEqual([]);
    expect(received).toEqual([GONE]);
  });
});

function embedding() {
  const { requests, sent, handleOf } = engine();
  const controller = new AbortController();
  const call = (inputs: readonly string[]) =>
    embedInEngine((sink) => handleOf(requests.addEmbedding({ inputs }, sink)), controller.signal).catch(
      (error: unknown) => error,
    );
  return { requests, sent, controller, call };
}

describe('an embedding in the engine', () => {
  it('collects its vectors until they are complete', async () => {
    const { requests, sent, call } = embedding();
    const outcome = call(['a', 'b']);
    requests.sendAll();
    expect(sent).toEqual([{ type: 'embed', embedding: { id: 1, inputs: ['a', 'b'] } }]);
    requests.deliver({ id: 1, event: { type: 'vector', values: [1, 0] } });
    requests.deliver({ id: 1, event: { type: 'vector', values: [0, 1] } });
    expect(await stateOf(outcome)).toBeUndefined();
    requests.deliver({ id: 1, event: { type: 'embedded', promptTokens: 6 } });
    expect(await outcome).toEqual({
      vectors: [
        [1, 0],
        [0, 1],
      ],
      promptTokens: 6,
    });
  });

  it('fails as the engine says, with the field at fault', async () => {
    const { requests, call } = embedding();
    const outcome = call(['a']);
    requests.sendAll();
    requests.deliver({
      id: 1,
      event: { type: 'failed', code: 'invalid_request', param: 'model', message: 'no' },
    });
    expect(await outcome).toMatchObject({ code: 'invalid_request', param: 'model', message: 'no' });
  });

  it('fails with the engine that had it', async () => {
    const { requests, call } = embedding();
    const outcome = call(['a']);
    requests.sendAll();
    const later = call(['b']);
    requests.failSent(new ServingError('backend_error'));
    expect(await outcome).toMatchObject({ code: 'backend_error' });
    expect(await stateOf(later)).toBeUndefined();
  });

  it('aborted, rejects with the reason once the engine is free of it', async () => {
    const { requests, sent, controller, call } = embedding();
    const outcome = call(['a']);
    requests.sendAll();
    controller.abort(GONE);
    expect(sent.at(-1)).toEqual({ type: 'abort', id: 1 });
    expect(await stateOf(outcome)).toBeUndefined();
    requests.deliver({ id: 1, event: { type: 'freed' } });
    expect(await outcome).toBe(GONE);
  });

  it('aborted before the engine had it, never reaches it', async () => {
    const { requests, sent, controller, call } = embedding();
    const outcome = call(['a']);
    controller.abort(GONE);
    expect(await outcome).toBe(GONE);
    requests.sendAll();
    expect(sent).toEqual([]);
  });

  it('aborted too late, still rejects with the reason', async () => {
    const { requests, controller, call } = embedding();
    const outcome = call(['a']);
    requests.sendAll();
    controller.abort(GONE);
    requests.deliver({ id: 1, event: { type: 'embedded', promptTokens: 3 } });
    expect(await outcome).toBe(GONE);
  });

  it('has its id in common with no generation, so that an abort means one request', () => {
    const { requests, sent } = embedding();
    const sink = { event() {}, vector() {}, embedded() {}, failed() {}, freed() {} };
    const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1 };
    const generation = {
      input: { kind: 'text', prompt: 'a' },
      sampling: { ...sampling, presencePenalty: 0, frequencyPenalty: 0 },
      limits: { stop: [] },
      thinking: false,
    } as const;
    requests.addGeneration(generation, sink);
    requests.addEmbedding({ inputs: ['a'] }, sink);
    requests.sendAll();
    expect(sent.map((message) => message.type)).toEqual(['generate', 'embed']);
    expect(sent[1]).toMatchObject({ embedding: { id: 2 } });
  });
});

function tokenizing() {
  const { requests, sent, handleOf } = engine();
  const controller = new AbortController();
  const tokenizer = engineTokenizer((request, sink) => handleOf(requests.addTokenizerRequest(request, sink)));
  return { requests, sent, controller, tokenizer, options: { signal: controller.signal } };
}

describe('the tokenizer of the engine', () => {
  it('returns the tokens of a prompt', async () => {
    const { requests, sent, tokenizer, options } = tokenizing();
    const outcome = tokenizer.encode({ input: TEXT, addSpecial: false }, options);
    requests.sendAll();
    expect(sent).toEqual([{ type: 'tokenize', id: 1, input: TEXT, addSpecial: false }]);
    requests.deliver({ id: 1, event: { type: 'tokenized', tokens: [1, 2] } });
    expect(await outcome).toEqual([1, 2]);
    expect(requests.hasWork).toBe(false);
  });

  it('returns the text of tokens', async () => {
    const { requests, sent, tokenizer, options } = tokenizing();
    const outcome = tokenizer.decode([1, 2], options);
    requests.sendAll();
    expect(sent).toEqual([{ type: 'detokenize', id: 1, tokens: [1, 2] }]);
    requests.deliver({ id: 1, event: { type: 'detokenized', text: 'ab' } });
    expect(await outcome).toBe('ab');
  });

  it('fails as the engine says, and with the engine that had it', async () => {
    const { requests, tokenizer, options } = tokenizing();
    const refused = tokenizer.decode([99], options);
    const lost = tokenizer.decode([1], options);
    requests.sendAll();
    requests.deliver({
      id: 1,
      event: { type: 'failed', code: 'invalid_request', param: 'tokens', message: 'no' },
    });
    requests.sendTokenizerRequest();
    await expect(refused).rejects.toMatchObject({ code: 'invalid_request', param: 'tokens' });
    requests.failSent(new ServingError('backend_error'));
    await expect(lost).rejects.toMatchObject({ code: 'backend_error' });
  });

  it('rejects images, which the engine does not support, before anything is sent', async () => {
    const { requests, tokenizer, options, sent } = tokenizing();
    const image = { mediaType: 'image/png', base64: '', at: 0 };
    const messages = [{ role: 'user', content: 'Look.', images: [image] }] as const;
    const outcome = tokenizer.encode({ input: { kind: 'chat', messages } }, options);
    await expect(outcome).rejects.toMatchObject({
      code: 'unsupported_parameter',
      param: 'messages[0].images',
    });
    requests.sendAll();
    expect(sent).toEqual([]);
  });

  it('rejects at once at an abort, whether or not the engine has the request', async () => {
    const { requests, controller, tokenizer, options } = tokenizing();
    const asked = tokenizer.decode([1], options);
    requests.sendAll();
    const waiting = tokenizer.decode([2], options);
    await Promise.resolve();
    controller.abort(GONE);
    await expect(asked).rejects.toBe(GONE);
    await expect(waiting).rejects.toBe(GONE);
    await expect(tokenizer.decode([3], options)).rejects.toBe(GONE);
    // A result that comes nevertheless has no reader.
    requests.deliver({ id: 1, event: { type: 'detokenized', text: 'a' } });
    expect(requests.hasWork).toBe(false);
  });

  it('sends one request at a time, and the next only once that is answered', async () => {
    const { requests, sent, controller, tokenizer } = tokenizing();
    const outcomes = [1, 2].map((token) =>
      tokenizer.decode([token], { signal: new AbortController().signal }),
    );
    const given = tokenizer.decode([3], { signal: controller.signal });
    const last = tokenizer.decode([4], { signal: new AbortController().signal });
    const ids = () => sent.map((message) => ('id' in message ? message.id : undefined));
    requests.sendAll();
    requests.sendAll();
    expect(ids()).toEqual([1]);
    requests.deliver({ id: 1, event: { type: 'detokenized', text: 'a' } });
    requests.sendTokenizerRequest();
    expect(ids()).toEqual([1, 2]);
    controller.abort(GONE);
    await expect(given).rejects.toBe(GONE);
    requests.deliver({ id: 2, event: { type: 'detokenized', text: 'b' } });
    requests.sendTokenizerRequest();
    expect(ids()).toEqual([1, 2, 4]);
    requests.deliver({ id: 4, event: { type: 'detokenized', text: 'd' } });
    expect(await Promise.all([...outcomes, last])).toEqual(['a', 'b', 'd']);
  });

  it('queues a few megabytes at most, but takes any request that comes alone', () => {
    const { requests } = tokenizing();
    const asked = (length: number) =>
      ({ type: 'tokenize', input: { kind: 'text', prompt: 'a'.repeat(length) } }) as const;
    const sink = { result() {}, failed() {}, freed() {} };
    expect(requests.tokenizeQueueError(asked(5_000_000))).toBeUndefined();
    const id = requests.addTokenizerRequest(asked(4_000_000), sink);
    expect(requests.tokenizeQueueError(asked(100))).toBeUndefined();
    expect(requests.tokenizeQueueError(asked(500_000))).toMatchObject({
      code: 'queue_full',
      retryAfterSeconds: 1,
    });
    requests.deliver({ id, event: { type: 'tokenized', tokens: [] } });
    expect(requests.tokenizeQueueError(asked(500_000))).toBeUndefined();
  });
});
