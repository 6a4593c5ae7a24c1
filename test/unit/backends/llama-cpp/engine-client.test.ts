import { describe, expect, it } from 'vitest';
import { EmbeddedGeneration } from '../../../../src/backends/llama-cpp/embedded-generation.ts';
import {
  type EmbeddingSink,
  embeddingCall,
  engineTokenizer,
  PendingRequests,
} from '../../../../src/backends/llama-cpp/engine-client.ts';
import type {
  EngineEvent,
  EngineGenerationRequest,
  ToEngine,
} from '../../../../src/backends/llama-cpp/messages.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../../src/core/generation.ts';
import { FAKE_GENERATION } from '../../../support/fake-engine.ts';

describe('embedded generation', () => {
  /** One generation between the port and the engine: who is told what, and when the engine is free of it. */

  type Order = Omit<EngineGenerationRequest, 'id'>;

  const GONE = new ServingError('client_gone');
  const text = (of: string): GenerationEvent => ({ type: 'text', text: of });
  const finish: GenerationEvent = {
    type: 'finish',
    reason: 'stop',
    usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
  };

  /** A generation, the engine's end of it, and what its sink has been told. */
  function open() {
    const flights = new PendingRequests();
    const sent: ToEngine[] = [];
    const send = (message: ToEngine) => void sent.push(message);
    const told: (GenerationEvent | ServingError)[] = [];
    const sink = {
      event: (event: GenerationEvent) => void told.push(event),
      fail: (error: ServingError) => void told.push(error),
    };
    const generation = new EmbeddedGeneration<Order>(sink, (order, engineSink) => {
      const id = flights.addGeneration(order, engineSink);
      flights.sendAdded(id, send);
      return {
        abort: () => flights.abort(id, send),
        pause: () => flights.pause(id, send),
        resume: () => flights.resume(id, send),
      };
    });
    const engineSends = (event: EngineEvent['event']) => flights.deliver({ id: 1, event });
    return { generation, flights, sent, told, engineSends, types: () => sent.map(({ type }) => type) };
  }

  async function isSettled(promise: Promise<unknown>): Promise<boolean> {
    return Promise.race([
      promise.then(() => true),
      new Promise<false>((no) => setImmediate(() => no(false))),
    ]);
  }

  describe('a generation in the engine', () => {
    it('tells its sink what the engine sends, in the same turn and as it is, and nothing after finish', async () => {
      const { generation, told, engineSends } = open();
      generation.run(FAKE_GENERATION);
      const call: GenerationEvent = { type: 'tool-call', index: 0, id: 'call_1', name: 'add' };
      const events = [text('a'), call, finish];
      for (const event of events) engineSends(event);
      expect(told).toEqual(events);
      expect(told[1]).toBe(call);
      engineSends(text('late'));
      expect(told).toHaveLength(3);
      await generation.released;
    });

    it('fails as the engine says, with the field at fault', async () => {
      const { generation, told, engineSends } = open();
      generation.run(FAKE_GENERATION);
      engineSends({ type: 'failed', code: 'invalid_request', param: 'prompt', message: 'no' });
      expect(told).toEqual([expect.objectContaining({ code: 'invalid_request', param: 'prompt' })]);
      await generation.released;
    });

    it('cancelled, has told its sink when that returns, and is released when the engine is free of it', async () => {
      const { generation, told, sent, engineSends } = open();
      generation.run(FAKE_GENERATION);
      engineSends(text('a'));
      generation.cancel(GONE);
      expect(told).toEqual([text('a'), GONE]);
      expect(sent.at(-1)).toEqual({ type: 'abort', id: 1 });
      engineSends(text('late'));
      expect(await isSettled(generation.released)).toBe(false);
      engineSends({ type: 'freed' });
      expect(await isSettled(generation.released)).toBe(true);
      expect(told).toEqual([text('a'), GONE]);
    });

    it.each([
      ['finished', finish],
      ['failed', { type: 'failed', code: 'backend_error', message: 'no' }],
    ] as const)('is released as well when it %s while the abort was on its way', async (_, end) => {
      const { generation, told, engineSends } = open();
      generation.run(FAKE_GENERATION);
      generation.cancel(GONE);
      engineSends(end);
      await generation.released;
      expect(told).toEqual([GONE]);
    });

    it('is released with the engine that had it', async () => {
      const { generation, told, flights } = open();
      generation.run(FAKE_GENERATION);
      generation.cancel(GONE);
      flights.failSent(new ServingError('backend_error'));
      await generation.released;
      expect(told).toEqual([GONE]);
    });

    it('does nothing more once it has ended', () => {
      const { generation, told, types, engineSends } = open();
      generation.run(FAKE_GENERATION);
      engineSends(finish);
      generation.pause();
      generation.resume();
      generation.cancel(GONE);
      expect(types()).toEqual(['generate']);
      expect(told).toEqual([finish]);
    });

    it('is cancelled once', () => {
      const { generation, told, types } = open();
      generation.run(FAKE_GENERATION);
      generation.cancel(GONE);
      generation.cancel(new ServingError('deadline_exceeded'));
      generation.pause();
      expect(types()).toEqual(['generate', 'abort']);
      expect(told).toEqual([GONE]);
    });

    it('may be cancelled from within its own sink', () => {
      const flights = new PendingRequests();
      const told: unknown[] = [];
      const generation: EmbeddedGeneration<Order> = new EmbeddedGeneration<Order>(
        {
          event(event) {
            told.push(event);
            generation.cancel(GONE);
          },
          fail: (error) => void told.push(error),
        },
        (order, sink) => {
          const id = flights.addGeneration(order, sink);
          return { abort: () => flights.abort(id, () => {}), pause() {}, resume() {} };
        },
      );
      generation.run(FAKE_GENERATION);
      flights.sendNew(() => {});
      for (const event of [text('a'), text('b'), finish]) flights.deliver({ id: 1, event });
      expect(told).toEqual([text('a'), GONE]);
    });
  });

  describe('a generation that is paused', () => {
    it('has the engine rest until it is resumed; what comes meanwhile is told', () => {
      const { generation, flights, sent, told, engineSends } = open();
      generation.run(FAKE_GENERATION);
      generation.pause();
      generation.pause();
      engineSends(text('a'));
      expect(flights.hasWork).toBe(false);
      generation.resume();
      generation.resume();
      expect(flights.hasWork).toBe(true);
      expect(sent.slice(1)).toEqual([
        { type: 'pause', id: 1 },
        { type: 'resume', id: 1 },
      ]);
      expect(told).toEqual([text('a')]);
    });

    it('and then cancelled is the engine’s work until it is free of it', async () => {
      const { generation, flights, types, engineSends } = open();
      generation.run(FAKE_GENERATION);
      generation.pause();
      generation.cancel(GONE);
      expect(types()).toEqual(['generate', 'pause', 'abort']);
      expect(flights.hasWork).toBe(true);
      engineSends({ type: 'freed' });
      expect(flights.hasWork).toBe(false);
      await generation.released;
    });

    it('before the engine has it, is paused there', () => {
      const flights = new PendingRequests();
      const sent: ToEngine[] = [];
      const send = (message: ToEngine) => void sent.push(message);
      const sink = { event() {}, failed() {}, freed() {} };
      const [paused, resumed] = [
        flights.addGeneration(FAKE_GENERATION, sink),
        flights.addGeneration(FAKE_GENERATION, sink),
      ];
      flights.pause(paused, send);
      flights.pause(resumed, send);
      flights.resume(resumed, send);
      expect(sent).toEqual([]);
      flights.sendNew(send);
      expect(sent.map(({ type }) => type)).toEqual(['generate', 'pause', 'generate']);
    });
  });

  describe('a generation that is prepared', () => {
    const settled = () => new Promise((resolve) => setImmediate(resolve));

    it('runs then, and not before; paused, if it was paused meanwhile', async () => {
      const { generation, types } = open();
      generation.runPrepared(async () => FAKE_GENERATION);
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
        const { generation, told } = open();
        generation.runPrepared(() => Promise.reject(thrown));
        expect(told).toEqual([]);
        await generation.released;
        expect(told).toEqual([expect.objectContaining({ code })]);
      }
    });

    it('cancelled meanwhile, ends its preparation, is released after that, and never runs', async () => {
      let prepared = (_: Order) => {};
      let reason: unknown;
      const { generation, told, types } = open();
      generation.runPrepared((signal) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
        });
        return new Promise((resolve) => {
          prepared = resolve;
        });
      });
      generation.cancel(GONE);
      expect([told, reason]).toEqual([[GONE], GONE]);
      expect(await isSettled(generation.released)).toBe(false);
      prepared(FAKE_GENERATION);
      await generation.released;
      expect(types()).toEqual([]);
      expect(told).toEqual([GONE]);
    });
  });
});

describe('embedding call', () => {
  const GONE = new ServingError('client_gone');

  /** What the engine gets, and the flights it belongs to. */
  function start() {
    const flights = new PendingRequests();
    const sent: ToEngine[] = [];
    const send = (message: ToEngine) => void sent.push(message);
    const controller = new AbortController();
    const call = (inputs: readonly string[]) => {
      const outcome = embeddingCall((sink: EmbeddingSink) => {
        const id = flights.addEmbedding({ inputs }, sink);
        return { abort: () => flights.abort(id, send) };
      }, controller.signal);
      const settled = outcome.catch((error: unknown) => error);
      return settled;
    };
    return { flights, sent, send, controller, call };
  }

  /** Undefined while it is pending. */
  async function stateOf(outcome: Promise<unknown>): Promise<unknown> {
    return Promise.race([outcome, new Promise((resolve) => setImmediate(() => resolve(undefined)))]);
  }

  describe('an embedding in the engine', () => {
    it('collects its vectors until they are complete', async () => {
      const { flights, sent, send, call } = start();
      const outcome = call(['a', 'b']);
      flights.sendNew(send);
      expect(sent).toEqual([{ type: 'embed', embedding: { id: 1, inputs: ['a', 'b'] } }]);
      flights.deliver({ id: 1, event: { type: 'vector', values: [1, 0] } });
      flights.deliver({ id: 1, event: { type: 'vector', values: [0, 1] } });
      expect(await stateOf(outcome)).toBeUndefined();
      flights.deliver({ id: 1, event: { type: 'embedded', promptTokens: 6 } });
      expect(await outcome).toEqual({
        vectors: [
          [1, 0],
          [0, 1],
        ],
        promptTokens: 6,
      });
    });

    it('fails as the engine says, with the field at fault', async () => {
      const { flights, send, call } = start();
      const outcome = call(['a']);
      flights.sendNew(send);
      flights.deliver({
        id: 1,
        event: { type: 'failed', code: 'invalid_request', param: 'model', message: 'no' },
      });
      expect(await outcome).toMatchObject({ code: 'invalid_request', param: 'model', message: 'no' });
    });

    it('fails with the engine that had it', async () => {
      const { flights, send, call } = start();
      const outcome = call(['a']);
      flights.sendNew(send);
      const later = call(['b']);
      flights.failSent(new ServingError('backend_error'));
      expect(await outcome).toMatchObject({ code: 'backend_error' });
      expect(await stateOf(later)).toBeUndefined();
    });

    it('aborted, rejects with the reason once the engine is free of it', async () => {
      const { flights, sent, send, controller, call } = start();
      const outcome = call(['a']);
      flights.sendNew(send);
      controller.abort(GONE);
      expect(sent.at(-1)).toEqual({ type: 'abort', id: 1 });
      expect(await stateOf(outcome)).toBeUndefined();
      flights.deliver({ id: 1, event: { type: 'freed' } });
      expect(await outcome).toBe(GONE);
    });

    it('aborted before the engine had it, never reaches it', async () => {
      const { flights, sent, send, controller, call } = start();
      const outcome = call(['a']);
      controller.abort(GONE);
      expect(await outcome).toBe(GONE);
      flights.sendNew(send);
      expect(sent).toEqual([]);
    });

    it('aborted too late, still rejects with the reason', async () => {
      const { flights, send, controller, call } = start();
      const outcome = call(['a']);
      flights.sendNew(send);
      controller.abort(GONE);
      flights.deliver({ id: 1, event: { type: 'embedded', promptTokens: 3 } });
      expect(await outcome).toBe(GONE);
    });

    it('is numbered beside the generations, so that an abort means one order', () => {
      const { flights, sent, send } = start();
      const sink = { event() {}, vector() {}, embedded() {}, failed() {}, freed() {} };
      const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1 };
      const generation = {
        input: { kind: 'text', prompt: 'a' },
        sampling: { ...sampling, presencePenalty: 0, frequencyPenalty: 0 },
        limits: { stop: [] },
        thinking: false,
      } as const;
      flights.addGeneration(generation, sink);
      flights.addEmbedding({ inputs: ['a'] }, sink);
      flights.sendNew(send);
      expect(sent.map((message) => message.type)).toEqual(['generate', 'embed']);
      expect(sent[1]).toMatchObject({ embedding: { id: 2 } });
    });
  });
});

describe('engine tokenizer', () => {
  const GONE = new ServingError('client_gone');
  const TEXT = { kind: 'text', prompt: 'ab' } as const;

  function start() {
    const flights = new PendingRequests();
    const sent: ToEngine[] = [];
    const send = (message: ToEngine) => void sent.push(message);
    const controller = new AbortController();
    const tokenizer = engineTokenizer((question, sink) => {
      const id = flights.addTokenizerRequest(question, sink);
      return { abort: () => flights.abort(id, send) };
    });
    return { flights, sent, send, controller, tokenizer, options: { signal: controller.signal } };
  }

  describe('the tokenizer of the engine', () => {
    it('gives the tokens of what is asked', async () => {
      const { flights, sent, send, tokenizer, options } = start();
      const outcome = tokenizer.encode({ input: TEXT, addSpecial: false }, options);
      flights.sendNew(send);
      expect(sent).toEqual([{ type: 'tokenize', id: 1, input: TEXT, addSpecial: false }]);
      flights.deliver({ id: 1, event: { type: 'tokenized', tokens: [1, 2] } });
      expect(await outcome).toEqual([1, 2]);
      expect(flights.hasWork).toBe(false);
    });

    it('gives the text of tokens', async () => {
      const { flights, sent, send, tokenizer, options } = start();
      const outcome = tokenizer.decode([1, 2], options);
      flights.sendNew(send);
      expect(sent).toEqual([{ type: 'detokenize', id: 1, tokens: [1, 2] }]);
      flights.deliver({ id: 1, event: { type: 'detokenized', text: 'ab' } });
      expect(await outcome).toBe('ab');
    });

    it('fails as the engine says, and with the engine that had it', async () => {
      const { flights, send, tokenizer, options } = start();
      const refused = tokenizer.decode([99], options);
      const lost = tokenizer.decode([1], options);
      flights.sendNew(send);
      flights.deliver({
        id: 1,
        event: { type: 'failed', code: 'invalid_request', param: 'tokens', message: 'no' },
      });
      flights.sendTokenizerRequest(send);
      await expect(refused).rejects.toMatchObject({ code: 'invalid_request', param: 'tokens' });
      flights.failSent(new ServingError('backend_error'));
      await expect(lost).rejects.toMatchObject({ code: 'backend_error' });
    });

    it('refuses pictures, which the engine does not see, before anything is sent', async () => {
      const { flights, tokenizer, options, sent, send } = start();
      const image = { mediaType: 'image/png', base64: '', at: 0 };
      const messages = [{ role: 'user', content: 'Look.', images: [image] }] as const;
      const outcome = tokenizer.encode({ input: { kind: 'chat', messages } }, options);
      await expect(outcome).rejects.toMatchObject({
        code: 'unsupported_parameter',
        param: 'messages[0].images',
      });
      flights.sendNew(send);
      expect(sent).toEqual([]);
    });

    it('rejects at an abort at once, whether the engine has the question or not', async () => {
      const { flights, controller, send, tokenizer, options } = start();
      const asked = tokenizer.decode([1], options);
      flights.sendNew(send);
      const waiting = tokenizer.decode([2], options);
      await Promise.resolve();
      controller.abort(GONE);
      await expect(asked).rejects.toBe(GONE);
      await expect(waiting).rejects.toBe(GONE);
      await expect(tokenizer.decode([3], options)).rejects.toBe(GONE);
      // An answer that comes nevertheless is nobody’s.
      flights.deliver({ id: 1, event: { type: 'detokenized', text: 'a' } });
      expect(flights.hasWork).toBe(false);
    });

    it('asks one question at a time, and another only once that is answered', async () => {
      const { flights, sent, send, controller, tokenizer } = start();
      const outcomes = [1, 2].map((token) =>
        tokenizer.decode([token], { signal: new AbortController().signal }),
      );
      const given = tokenizer.decode([3], { signal: controller.signal });
      const last = tokenizer.decode([4], { signal: new AbortController().signal });
      const ids = () => sent.map((message) => ('id' in message ? message.id : undefined));
      flights.sendNew(send);
      flights.sendNew(send);
      expect(ids()).toEqual([1]);
      flights.deliver({ id: 1, event: { type: 'detokenized', text: 'a' } });
      flights.sendTokenizerRequest(send);
      expect(ids()).toEqual([1, 2]);
      controller.abort(GONE);
      await expect(given).rejects.toBe(GONE);
      flights.deliver({ id: 2, event: { type: 'detokenized', text: 'b' } });
      flights.sendTokenizerRequest(send);
      expect(ids()).toEqual([1, 2, 4]);
      flights.deliver({ id: 4, event: { type: 'detokenized', text: 'd' } });
      expect(await Promise.all([...outcomes, last])).toEqual(['a', 'b', 'd']);
    });

    it('takes no more questions than a few megabytes, and any that comes alone', () => {
      const { flights } = start();
      const asked = (length: number) =>
        ({ type: 'tokenize', input: { kind: 'text', prompt: 'a'.repeat(length) } }) as const;
      const sink = { answered() {}, failed() {}, freed() {} };
      expect(flights.queueError(asked(5_000_000))).toBeUndefined();
      const id = flights.addTokenizerRequest(asked(4_000_000), sink);
      expect(flights.queueError(asked(100))).toBeUndefined();
      expect(flights.queueError(asked(500_000))).toMatchObject({ code: 'queue_full', retryAfterSeconds: 1 });
      flights.deliver({ id, event: { type: 'tokenized', tokens: [] } });
      expect(flights.queueError(asked(500_000))).toBeUndefined();
    });
  });
});
