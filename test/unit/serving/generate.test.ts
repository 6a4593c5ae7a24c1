import { describe, expect, it } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ServingError, toServingError } from '../../../src/core/errors.ts';
import { type Droppable, type Feature, refuseUnsupported } from '../../../src/core/features.ts';
import type { GenerationEvent, GenerationRequest } from '../../../src/core/generation.ts';
import type { QueuePosition, RequestTrace } from '../../../src/core/request-trace.ts';
import { dropUnsupported } from '../../../src/serving/drop-unsupported.ts';
import type { ServedGeneration } from '../../../src/serving/generate.ts';
import type { Target } from '../../../src/serving/targets.ts';
import { TokenCount } from '../../../src/serving/token-count.ts';
import { FakeBackend, FINISH, fakeTarget, textRequest } from '../../support/fake-backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { SCHEDULER } from '../../support/scheduling.ts';
import { servingWith } from '../../support/serving-with.ts';
import { chatRequest } from '../../support/stand-ins/generate.ts';

describe('serving a generation', () => {
  const withLimit = (maxTokens: number | undefined) => (maxTokens === undefined ? {} : { maxTokens });

  interface AskOptions {
    readonly deadlineMs?: number;
    readonly maxTokens?: number;
    readonly onQueuePosition?: (place: QueuePosition) => void;
    readonly request?: Partial<GenerationRequest>;
    readonly delivery?: 'whole' | 'stream';
  }

  function start(slots = 2, overrides: Partial<Target> = {}) {
    const clock = new FakeClock();
    const backend = new FakeBackend();
    const gapsMs: number[] = [];
    const target = fakeTarget(backend, { slots, ...overrides });
    const serving = servingWith({
      clock,
      targets: [target],
      scheduler: { ...SCHEDULER, maxBatchSize: 8 },
      onTokenGap: (_model, gapMs) => void gapsMs.push(gapMs),
    });
    const ask = (id: string, options: AskOptions = {}) => {
      const trace: RequestTrace = { requestId: id, receivedAt: clock.now() };
      const cancellation = new Cancellation();
      const events: GenerationEvent[] = [];
      const deadlineAt = clock.now() + (options.deadlineMs ?? 60_000);
      const call = {
        request: {
          ...textRequest(id),
          limits: { stop: [], ...withLimit(options.maxTokens) },
          ...options.request,
        },
        delivery: options.delivery ?? 'stream',
        trace,
        client: 'client',
        priority: 'normal' as const,
        cancellation,
        deadlineAt,
        onQueuePosition: options.onQueuePosition,
      };
      let generation: ServedGeneration | undefined;
      const outcome = new Promise<string>((resolve) => {
        generation = serving.generate(call, {
          event: (event) => {
            events.push(event);
            if (event.type === 'finish') resolve('finished');
          },
          fail: ({ code }) => resolve(code),
        });
      });
      return { trace, cancellation, events, outcome, generation };
    };
    const runOf = (id: string) => backend.runs.find(({ request }) => request.id === id);
    return { clock, backend, serving, ask, runOf, gapsMs, slotsUsed: () => serving.usedOf(target).slots };
  }

  const CUT_AT_2 = { promptTokens: 7, completionTokens: 2, cachedTokens: 3 };
  const TEXT: GenerationEvent = { type: 'text', text: 'hi' };

  describe('a backend that goes on beyond max_tokens', () => {
    it('is left there: the answer ends with length, and the slot is free when the backend is', async () => {
      const { clock, backend, ask, runOf, slotsUsed } = start();
      backend.freesByItself = false;
      const call = ask('a', { maxTokens: 2 });
      await clock.settle();
      runOf('a')?.send({ type: 'start', promptTokens: 7, cachedTokens: 3 });
      runOf('a')?.send({ type: 'reasoning', text: 'hm' });
      for (let count = 0; count < 3; count += 1) runOf('a')?.send(TEXT);
      await clock.settle();
      expect(await call.outcome).toBe('finished');
      expect(call.events.slice(1)).toEqual([
        { type: 'reasoning', text: 'hm' },
        TEXT,
        { type: 'finish', reason: 'length', usage: CUT_AT_2 },
      ]);
      expect(call.trace).toMatchObject({ finishReason: 'length', usage: CUT_AT_2 });
      expect(slotsUsed()).toBe(1);
      runOf('a')?.free();
      await clock.settle();
      expect(slotsUsed()).toBe(0);
      expect(clock.pendingTimers).toBe(0);
    });

    it('is counted by its log-probabilities where it gives them: a piece may hold several tokens', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a', { maxTokens: 3 });
      await clock.settle();
      const logprob = { token: 7, bytes: [120], logprob: -1, top: [] };
      runOf('a')?.send({ type: 'text', text: 'xxx', logprobs: [logprob, logprob, logprob] });
      runOf('a')?.send(TEXT);
      await clock.settle();
      expect(await call.outcome).toBe('finished');
      expect(call.events.at(-1)).toMatchObject({ reason: 'length', usage: { completionTokens: 3 } });
      runOf('a')?.free();
    });

    it('that ends at it is none: what it says of itself stands', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a', { maxTokens: 1 });
      await clock.settle();
      runOf('a')?.send(TEXT);
      runOf('a')?.send(FINISH);
      await clock.settle();
      expect(await call.outcome).toBe('finished');
      expect(call.events).toEqual([TEXT, FINISH]);
    });

    it('is believed where it is this project’s own: its pieces need not be tokens', async () => {
      const { clock, ask, runOf } = start(2, { embedded: true });
      const call = ask('a', { maxTokens: 1 });
      await clock.settle();
      for (const event of [TEXT, TEXT, FINISH]) runOf('a')?.send(event);
      await clock.settle();
      expect(await call.outcome).toBe('finished');
      expect(call.events).toEqual([TEXT, TEXT, FINISH]);
    });
  });

  describe('a generation', () => {
    it('passes the backend’s events on and gives its slot back', async () => {
      const { clock, ask, runOf, slotsUsed } = start();
      const call = ask('a');
      await clock.settle();
      expect(slotsUsed()).toBe(1);
      runOf('a')?.send(TEXT);
      runOf('a')?.send(FINISH);
      await clock.settle();
      expect(await call.outcome).toBe('finished');
      expect(call.events).toEqual([TEXT, FINISH]);
      expect(call.trace).toMatchObject({ target: 'fake/0', finishReason: 'stop', batch: { size: 1 } });
      expect(slotsUsed()).toBe(0);
      expect(clock.pendingTimers).toBe(0);
    });

    it('that calls a tool has its first token with the call, and its pieces are tokens', async () => {
      const { clock, ask, runOf, gapsMs } = start();
      const call = ask('a');
      await clock.advance(10);
      runOf('a')?.send({ type: 'tool-call', index: 0, id: 'call_1', name: 'clock' });
      for (const delta of ['{', '}']) {
        await clock.advance(5);
        runOf('a')?.send({ type: 'tool-arguments', index: 0, delta });
      }
      await clock.settle();
      runOf('a')?.send({ ...FINISH, reason: 'tool_calls' });
      await clock.settle();
      expect(await call.outcome).toBe('finished');
      expect(call.trace).toMatchObject({ firstTokenAt: 10, finishReason: 'tool_calls' });
      expect(gapsMs).toEqual([5]);
    });

    it('cancelled in the queue never reaches the backend', async () => {
      const { clock, backend, ask, runOf } = start(1);
      ask('running');
      const queued = ask('queued');
      await clock.settle();
      queued.cancellation.cancel(new ServingError('client_gone'));
      expect(await queued.outcome).toBe('client_gone');
      runOf('running')?.send(FINISH);
      await clock.settle();
      expect(backend.runs.map(({ request }) => request.id)).toEqual(['running']);
    });

    it('that ends in the very turn it was granted gives its slot back', async () => {
      const { clock, ask, slotsUsed } = start(1);
      const call = ask('a');
      clock.atEndOfTurn(() => call.cancellation.cancel(new ServingError('client_gone')));
      await clock.settle();
      expect(await call.outcome).toBe('client_gone');
      await clock.settle();
      expect(slotsUsed()).toBe(0);
    });

    it('keeps its slot until the backend is really free of it', async () => {
      const { clock, backend, ask, runOf, slotsUsed } = start(1);
      backend.freesByItself = false;
      const call = ask('a');
      await clock.settle();
      call.cancellation.cancel(new ServingError('client_gone'));
      expect(await call.outcome).toBe('client_gone');
      expect(slotsUsed()).toBe(1);
      runOf('a')?.free();
      await clock.settle();
      expect(slotsUsed()).toBe(0);
    });

    it('gets its slot back after a second from a backend that never says it is free', async () => {
      const { clock, backend, ask, slotsUsed } = start(1);
      backend.freesByItself = false;
      const call = ask('a');
      await clock.settle();
      call.cancellation.cancel(new ServingError('client_gone'));
      await clock.advance(999);
      expect(slotsUsed()).toBe(1);
      await clock.advance(1);
      expect(slotsUsed()).toBe(0);
    });

    it('is given up when the first token takes too long', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a');
      await clock.advance(999);
      expect(runOf('a')?.signal.aborted).toBe(false);
      await clock.advance(1);
      expect(await call.outcome).toBe('backend_error');
      expect(runOf('a')?.signal.aborted).toBe(true);
    });

    it('is given up when the backend falls silent between tokens', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a');
      await clock.advance(900);
      runOf('a')?.send(TEXT);
      await clock.advance(199);
      runOf('a')?.send(TEXT);
      await clock.advance(199);
      expect(runOf('a')?.signal.aborted).toBe(false);
      await clock.advance(1);
      expect(await call.outcome).toBe('backend_error');
      expect(call.events).toHaveLength(2);
    });

    it.each<[string, Partial<GenerationRequest>]>([
      ['tools', { tools: { tools: [{ name: 'clock' }], choice: 'auto' } }],
      ['a format', { output: { kind: 'json' } }],
    ])('with %s may be silent between tokens for as long as before the first', async (_, request) => {
      const { clock, ask, runOf } = start();
      const call = ask('a', { request });
      await clock.advance(100);
      runOf('a')?.send(TEXT);
      await clock.advance(999);
      expect(runOf('a')?.signal.aborted).toBe(false);
      await clock.advance(1);
      expect(await call.outcome).toBe('backend_error');
    });

    it('with tools that may not be called is given up as one without', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a', { request: { tools: { tools: [{ name: 'clock' }], choice: 'none' } } });
      await clock.advance(100);
      runOf('a')?.send(TEXT);
      await clock.advance(200);
      expect(await call.outcome).toBe('backend_error');
    });

    it('that is asked for whole may take as long as the request, and tells no first token of its own', async () => {
      const { clock, ask, runOf, gapsMs } = start();
      const call = ask('a', { delivery: 'whole', deadlineMs: 50_000 });
      await clock.settle();
      expect(runOf('a')?.delivery).toBe('whole');
      runOf('a')?.askWhole();
      await clock.advance(49_000);
      expect(runOf('a')?.signal.aborted).toBe(false);
      for (const event of [{ type: 'start' } as const, TEXT, FINISH]) runOf('a')?.send(event);
      await clock.settle();
      expect(await call.outcome).toBe('finished');
      expect(call.trace).toMatchObject({ unstreamed: true, firstTokenAt: 49_000 });
      expect(gapsMs).toEqual([]);
      expect(clock.pendingTimers).toBe(0);
      const late = ask('b', { delivery: 'whole', deadlineMs: 50_000 });
      await clock.settle();
      runOf('b')?.askWhole();
      await clock.advance(50_000);
      expect(await late.outcome).toBe('deadline_exceeded');
    });

    it('that is asked for whole is given up after the target’s own limit for that', async () => {
      const { clock, ask, runOf } = start(2, { answerTimeoutMs: 5000 });
      const call = ask('a', { delivery: 'whole' });
      await clock.settle();
      runOf('a')?.askWhole();
      await clock.advance(4999);
      expect(runOf('a')?.signal.aborted).toBe(false);
      await clock.advance(1);
      expect(await call.outcome).toBe('backend_error');
    });

    it('past its deadline ends with deadline_exceeded and its backend is cancelled', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a', { deadlineMs: 300 });
      await clock.advance(300);
      expect(await call.outcome).toBe('deadline_exceeded');
      expect(runOf('a')?.signal.aborted).toBe(true);
    });

    it('whose deadline passes in the queue is told queue_timeout', async () => {
      const { clock, ask } = start(1);
      ask('running');
      await clock.settle();
      const queued = ask('queued', { deadlineMs: 300 });
      await clock.advance(300);
      expect(await queued.outcome).toBe('queue_timeout');
    });

    it('whose backend ends without a finish reason has failed', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a');
      await clock.settle();
      runOf('a')?.fail(new ServingError('backend_error'));
      await clock.settle();
      expect(await call.outcome).toBe('backend_error');
    });
  });

  describe('a client that reads more slowly than the model writes', () => {
    it('stops the backend until it has caught up', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a');
      await clock.settle();
      call.generation?.pause();
      expect(runOf('a')?.isPaused).toBe(true);
      call.generation?.resume();
      expect(runOf('a')?.isPaused).toBe(false);
      runOf('a')?.send(FINISH);
      expect(await call.outcome).toBe('finished');
    });

    it('stops one that is granted its slot only then', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a');
      call.generation?.pause();
      await clock.settle();
      expect(runOf('a')?.isPaused).toBe(true);
    });

    it('is no reason to give up a backend that is silent meanwhile', async () => {
      const { clock, ask, runOf } = start();
      const call = ask('a');
      await clock.settle();
      runOf('a')?.send(TEXT);
      call.generation?.pause();
      await clock.advance(10_000);
      expect(runOf('a')?.signal.aborted).toBe(false);
      call.generation?.resume();
      await clock.advance(199);
      expect(runOf('a')?.signal.aborted).toBe(false);
      await clock.advance(1);
      expect(await call.outcome).toBe('backend_error');
    });
  });

  describe('a field that the backend does not support', () => {
    it('is dropped before the first event, and the slot is held all the while', async () => {
      const { clock, backend, ask, runOf, slotsUsed } = start();
      const tools = { tools: [{ name: 'clock', strict: true }], choice: 'auto' } as const;
      const call = ask('a', { request: { tools } });
      await clock.settle();
      const refusal = { param: 'tools[0].strict' };
      runOf('a')?.fail(new ServingError('unsupported_parameter', refusal));
      expect(backend.runs).toHaveLength(2);
      expect(slotsUsed()).toBe(1);
      backend.runs[1]?.send(FINISH);
      expect(await call.outcome).toBe('finished');
      expect(call.trace.droppedFields).toEqual([refusal.param]);
      expect(slotsUsed()).toBe(0);
    });

    it('is refused after it, or when the request has been cancelled', async () => {
      const { clock, backend, ask, runOf } = start();
      const tools = { tools: [{ name: 'clock', strict: true }], choice: 'auto' } as const;
      const begun = ask('a', { request: { tools } });
      const left = ask('b', { request: { tools } });
      await clock.settle();
      runOf('a')?.send(TEXT);
      runOf('a')?.fail(new ServingError('unsupported_parameter', { param: 'tools[0].strict' }));
      expect(await begun.outcome).toBe('unsupported_parameter');
      left.cancellation.cancel(new ServingError('client_gone'));
      expect(await left.outcome).toBe('client_gone');
      expect(backend.runs).toHaveLength(2);
    });
  });

  it('in a batch of 8 one fails, one is cancelled, one expires: the others answer as if alone', async () => {
    const { clock, ask, runOf, slotsUsed } = start(8);
    const calls = Array.from({ length: 8 }, (_, index) =>
      ask(`r${index}`, index === 2 ? { deadlineMs: 50 } : {}),
    );
    await clock.settle();
    expect(calls.map(({ trace }) => trace.batch?.size)).toEqual(Array(8).fill(8));
    runOf('r0')?.fail(new ServingError('backend_error'));
    calls[1]?.cancellation.cancel(new ServingError('client_gone'));
    await clock.advance(50);
    for (const index of [3, 4, 5, 6, 7]) {
      runOf(`r${index}`)?.send({ type: 'text', text: `answer ${index}` });
      runOf(`r${index}`)?.send(FINISH);
    }
    await clock.settle();
    const outcomes = await Promise.all(calls.map(({ outcome }) => outcome));
    expect(outcomes).toEqual([
      'backend_error',
      'client_gone',
      'deadline_exceeded',
      ...Array(5).fill('finished'),
    ]);
    expect(calls[5]?.events[0]).toEqual({ type: 'text', text: 'answer 5' });
    expect(slotsUsed()).toBe(0);
  });

  it('a short answer never waits for a long one of its batch', async () => {
    const { clock, ask, runOf } = start(2);
    ask('long');
    const short = ask('short');
    const next = ask('next');
    await clock.settle();
    runOf('short')?.send(FINISH);
    await clock.settle();
    expect(await short.outcome).toBe('finished');
    runOf('next')?.send(FINISH);
    await clock.settle();
    expect(await next.outcome).toBe('finished');
  });

  describe('the position in the queue', () => {
    it('is told on acceptance, when it changes, at most once a second, and as 0 when the wait is over', async () => {
      const { clock, ask, runOf } = start(1);
      const places: number[] = [];
      ask('running');
      ask('before');
      const waiting = ask('waiting', { onQueuePosition: ({ position }) => places.push(position) });
      await clock.settle();
      expect(places).toEqual([2]);
      await clock.advance(500);
      runOf('running')?.send(FINISH);
      await clock.advance(400);
      expect(places).toEqual([2]);
      await clock.advance(100);
      expect(places).toEqual([2, 1]);
      runOf('before')?.send(FINISH);
      await clock.settle();
      expect(places).toEqual([2, 1, 0]);
      runOf('waiting')?.send(FINISH);
      await clock.settle();
      expect(await waiting.outcome).toBe('finished');
    });

    it('is not told to a request that is refused', async () => {
      const { clock, ask } = start(1);
      const places: number[] = [];
      for (let index = 0; index < 9; index += 1) ask(`r${index}`);
      const refused = ask('refused', { onQueuePosition: ({ position }) => places.push(position) });
      await clock.settle();
      expect(await refused.outcome).toBe('queue_full');
      expect(places).toEqual([]);
    });
  });
});

describe('dropping unsupported fields', () => {
  /** What a backend that can do little was asked in the end, after its refusals; or the refusal that stands. */
  function askPlainBackend(
    request: GenerationRequest,
    supports: readonly Feature[] = [],
    droppable: Droppable = 'settings',
  ) {
    const trace: RequestTrace = { requestId: 'r', receivedAt: 0 };
    let asked = request;
    for (;;) {
      try {
        refuseUnsupported(asked, { backend: 'plain', supports });
        return { trace, asked };
      } catch (thrown) {
        const refusal = toServingError(thrown);
        const less = dropUnsupported(asked, refusal, { trace, droppable });
        if (less === undefined) return { trace, refusal };
        asked = less;
      }
    }
  }

  it('a field that the backend cannot honour is dropped and noted, one after the other', () => {
    const request = chatRequest('hi', {
      sampling: { topK: 5, temperature: 0.5 },
      output: { kind: 'json-schema', schema: {} },
      thinking: 'low',
    });
    const { asked, trace } = askPlainBackend(request);
    expect(trace.droppedFields).toEqual(['format', 'top_k', 'think']);
    const { output: _output, thinking: _thinking, ...rest } = request;
    expect(asked).toEqual({ ...rest, sampling: { temperature: 0.5 } });
  });

  it('a request that the backend can honour is asked as it is', () => {
    const request = chatRequest('hi', { sampling: { topK: 5 } });
    const { asked, trace } = askPlainBackend(request, ['top-k']);
    expect(asked).toEqual(request);
    expect(trace.droppedFields).toBeUndefined();
  });

  it('what is content is refused all the same', () => {
    const images = [{ mediaType: 'image/png', base64: 'AA==', at: 0 }];
    const input = { kind: 'chat', messages: [{ role: 'user', content: 'hi', images }] } as const;
    const { refusal, trace } = askPlainBackend(chatRequest('hi', { input }));
    expect(refusal).toMatchObject({
      code: 'unsupported_parameter',
      param: 'messages[0].images',
    });
    expect(trace.droppedFields).toBeUndefined();
  });

  it('any other failure is passed on, and is no reason to ask again', () => {
    const asked = chatRequest('hi', { sampling: { topK: 5 } });
    const failure = new ServingError('backend_error', { param: 'top_k' });
    const trace = { requestId: 'r', receivedAt: 0 };
    expect(dropUnsupported(asked, failure, { trace, droppable: 'settings' })).toBeUndefined();
  });

  it('in strict compatibility only what clients send unasked is dropped, and named', () => {
    const clock = { name: 'clock', strict: true } as const;
    const tools = { tools: [{ name: 'weather' }, clock], choice: 'auto' } as const;
    const { asked, trace } = askPlainBackend(chatRequest('hi', { tools }), ['tools'], 'optional');
    expect(asked).toMatchObject({ tools: { tools: [{ name: 'weather' }, { name: 'clock' }] } });
    expect(asked?.tools?.tools[1]).not.toHaveProperty('strict');
    expect(trace.droppedFields).toEqual(['tools[1].strict']);
    const refused = askPlainBackend(
      chatRequest('hi', { tools, sampling: { topK: 5 } }),
      ['tools'],
      'optional',
    );
    expect(refused.refusal).toMatchObject({ code: 'unsupported_parameter', param: 'top_k' });
  });

  it('a forced call follows its schema anyway, so that it is strict asks for nothing', () => {
    const tools = { tools: [{ name: 'clock', strict: true }], choice: 'required' } as const;
    const request = chatRequest('hi', { tools });
    const { asked, trace } = askPlainBackend(request, ['tools', 'tool-choice'], 'optional');
    expect(asked).toEqual(request);
    expect(trace.droppedFields).toBeUndefined();
  });
});

describe('counting tokens', () => {
  const TEXT = { type: 'text', text: 'hi' } as const;

  function finish(promptTokens: number, completionTokens: number) {
    return {
      type: 'finish',
      reason: 'stop',
      usage: { promptTokens, completionTokens, cachedTokens: 0 },
    } as const;
  }

  describe('what a generation used', () => {
    it('is nothing when its backend never had it', () => {
      const used = new TokenCount();
      expect([used.promptTokens, used.answerTokens]).toEqual([0, 0]);
    });

    it('is the estimated prompt when it ended before the backend said anything', () => {
      const used = new TokenCount();
      used.begin(7);
      expect([used.promptTokens, used.answerTokens]).toEqual([7, 0]);
    });

    it('is what came so far when it was cut off', () => {
      const used = new TokenCount();
      used.begin(7);
      used.note({ type: 'start', promptTokens: 9 });
      used.note(TEXT);
      used.note({ type: 'reasoning', text: 'hm' });
      expect([used.promptTokens, used.answerTokens]).toEqual([9, 2]);
    });

    it('has the pieces of a tool call in it', () => {
      const used = new TokenCount();
      used.begin(7);
      used.note({ type: 'tool-call', index: 0, id: 'call_1', name: 'clock' });
      used.note({ type: 'tool-arguments', index: 0, delta: '{"zone":' });
      used.note({ type: 'tool-arguments', index: 0, delta: '"UTC"}' });
      expect([used.promptTokens, used.answerTokens]).toEqual([7, 3]);
    });

    it('is what the backend counted when it finished', () => {
      const used = new TokenCount();
      used.begin(7);
      used.note(TEXT);
      used.note(finish(11, 5));
      expect([used.promptTokens, used.answerTokens]).toEqual([11, 5]);
    });

    it('tells what of the prompt was cached, as soon as the backend does', () => {
      const used = new TokenCount();
      used.begin(7);
      used.note({ type: 'start', promptTokens: 9, cachedTokens: 6 });
      expect(used.cachedTokens).toBe(6);
      used.note(finish(11, 5));
      expect(used.cachedTokens).toBe(6);
    });

    it('is counted here where the backend does not count', () => {
      const used = new TokenCount();
      used.begin(7);
      used.note(TEXT);
      used.note(finish(0, 0));
      expect([used.promptTokens, used.answerTokens]).toEqual([7, 1]);
    });
  });
});
