/** One generation between the port and the engine: who is told what, and when the engine is free of it. */
import { describe, expect, it } from 'vitest';
import { EmbeddedGeneration } from '../../../../src/backends/llama-cpp/embedded-generation.ts';
import { Flights } from '../../../../src/backends/llama-cpp/flights.ts';
import type { EngineEvent, EngineGeneration, ToEngine } from '../../../../src/backends/llama-cpp/messages.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../../src/core/generation.ts';
import { FAKE_GENERATION } from '../../../support/fake-engine.ts';

type Order = Omit<EngineGeneration, 'id'>;

const GONE = new ServingError('client_gone');
const text = (of: string): GenerationEvent => ({ type: 'text', text: of });
const finish: GenerationEvent = {
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
};

/** A generation, the engine's end of it, and what its sink has been told. */
function open() {
  const flights = new Flights();
  const sent: ToEngine[] = [];
  const send = (message: ToEngine) => void sent.push(message);
  const told: (GenerationEvent | ServingError)[] = [];
  const sink = {
    event: (event: GenerationEvent) => void told.push(event),
    fail: (error: ServingError) => void told.push(error),
  };
  const generation = new EmbeddedGeneration<Order>(sink, (order, engineSink) => {
    const id = flights.add(order, engineSink);
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
  return Promise.race([promise.then(() => true), new Promise<false>((no) => setImmediate(() => no(false)))]);
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
    const flights = new Flights();
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
        const id = flights.add(order, sink);
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
    const flights = new Flights();
    const sent: ToEngine[] = [];
    const send = (message: ToEngine) => void sent.push(message);
    const sink = { event() {}, failed() {}, freed() {} };
    const [paused, resumed] = [flights.add(FAKE_GENERATION, sink), flights.add(FAKE_GENERATION, sink)];
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
