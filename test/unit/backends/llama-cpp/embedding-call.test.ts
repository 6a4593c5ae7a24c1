import { describe, expect, it } from 'vitest';
import { embeddingCall } from '../../../../src/backends/llama-cpp/embedding-call.ts';
import { type EmbeddingSink, Flights } from '../../../../src/backends/llama-cpp/flights.ts';
import type { ToEngine } from '../../../../src/backends/llama-cpp/messages.ts';
import { ServingError } from '../../../../src/core/errors.ts';

const GONE = new ServingError('client_gone');

/** What the engine gets, and the flights it belongs to. */
function start() {
  const flights = new Flights();
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
    flights.add(generation, sink);
    flights.addEmbedding({ inputs: ['a'] }, sink);
    flights.sendNew(send);
    expect(sent.map((message) => message.type)).toEqual(['generate', 'embed']);
    expect(sent[1]).toMatchObject({ embedding: { id: 2 } });
  });
});
