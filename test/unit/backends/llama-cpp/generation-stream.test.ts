import { describe, expect, it } from 'vitest';
import {
  type GenerationSink,
  GenerationStream,
} from '../../../../src/backends/llama-cpp/generation-stream.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import type { GenerationEvent } from '../../../../src/core/generation.ts';

const text = (value: string): GenerationEvent => ({ type: 'text', text: value });
const finish: GenerationEvent = {
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
};

function open(abort = new AbortController()) {
  const state: { sink?: GenerationSink; starts: number; aborts: number } = { starts: 0, aborts: 0 };
  const stream = new GenerationStream((sink) => {
    state.sink = sink;
    state.starts += 1;
    return {
      abort() {
        state.aborts += 1;
      },
    };
  }, abort.signal);
  return { stream, state, abort, sink: () => state.sink as GenerationSink };
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  await new Promise((resolve) => setImmediate(resolve));
  const pending = Symbol('pending');
  return (await Promise.race([promise.catch(() => {}), Promise.resolve(pending)])) !== pending;
}

describe('GenerationStream', () => {
  it('starts nothing before it is read', async () => {
    const { stream, state } = open();
    await stream.return();
    expect(state).toMatchObject({ starts: 0, aborts: 0 });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('gives events in their order, and nothing after finish', async () => {
    const { stream, sink } = open();
    const first = stream.next();
    sink().event(text('a'));
    sink().event(text('b'));
    sink().event(finish);
    expect(await first).toEqual({ done: false, value: text('a') });
    expect((await stream.next()).value).toEqual(text('b'));
    expect((await stream.next()).value).toEqual(finish);
    expect((await stream.next()).done).toBe(true);
  });

  it('gives what came before an error, then the error once', async () => {
    const { stream, sink } = open();
    const first = stream.next();
    sink().event(text('a'));
    const error = new ServingError('backend_error');
    sink().failed(error);
    await first;
    await expect(stream.next()).rejects.toBe(error);
    expect((await stream.next()).done).toBe(true);
    await stream.return();
  });

  it('rejects a pending next at once when the signal aborts, and return waits until the sequence is free', async () => {
    const { stream, sink, abort, state } = open();
    const pending = stream.next();
    const reason = new ServingError('client_gone');
    abort.abort(reason);
    await expect(pending).rejects.toBe(reason);
    expect(state.aborts).toBe(1);
    const returned = stream.return();
    expect(await isSettled(returned)).toBe(false);
    sink().event(text('late'));
    sink().freed();
    expect(await returned).toEqual({ done: true, value: undefined });
  });

  it('is free as well when the engine finished while the abort was on its way', async () => {
    const { stream, sink, abort } = open();
    const pending = stream.next();
    abort.abort(new ServingError('client_gone'));
    await expect(pending).rejects.toThrow();
    sink().event(finish);
    await stream.return();
  });

  it('aborts when its reader leaves early, and waits until the engine lets go', async () => {
    const { stream, sink, state } = open();
    const first = stream.next();
    sink().event(text('a'));
    await first;
    const returned = stream.return();
    expect(state.aborts).toBe(1);
    expect(await isSettled(returned)).toBe(false);
    sink().failed(new ServingError('backend_error'));
    await returned;
  });

  it('starts nothing when the signal has aborted already', async () => {
    const abort = new AbortController();
    const reason = new ServingError('client_gone');
    abort.abort(reason);
    const { stream, state } = open(abort);
    await expect(stream.next()).rejects.toBe(reason);
    await stream.return();
    expect(state.starts).toBe(0);
  });

  it('gives an error that comes while it is being started', async () => {
    const error = new ServingError('model_loading');
    const stream = new GenerationStream((sink) => {
      sink.failed(error);
      return { abort() {} };
    }, new AbortController().signal);
    await expect(stream.next()).rejects.toBe(error);
    await stream.return();
  });
});
