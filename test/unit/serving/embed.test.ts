import { describe, expect, it } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ServingError } from '../../../src/core/errors.ts';
import type { RequestTrace } from '../../../src/core/request-trace.ts';
import { FakeBackend, fakeTarget } from '../../support/fake-backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { servingWith } from '../../support/serving-with.ts';

const EMBEDDINGS = { vectors: [[1, 0]], promptTokens: 5 };

function start({ slots = 1, backend = new FakeBackend() } = {}) {
  const clock = new FakeClock();
  const target = fakeTarget(backend, { slots });
  const serving = servingWith({
    clock,
    targets: [target],
  });
  const ask = (inputs: readonly string[], { deadlineMs = 60_000 } = {}) => {
    const trace: RequestTrace = { requestId: 'r', receivedAt: clock.now() };
    const cancellation = new Cancellation();
    const outcome = serving
      .embed({
        request: { model: 'm', inputs },
        trace,
        client: 'client',
        priority: 'normal',
        cancellation,
        deadlineAt: clock.now() + deadlineMs,
      })
      .catch((error: ServingError) => error);
    return { trace, cancellation, outcome };
  };
  return {
    clock,
    backend,
    ask,
    slotsUsed: () => serving.usedOf(target).slots,
    used: () => serving.usedOf(target),
  };
}

describe('an embedding', () => {
  it('takes a slot, answers with the vectors, and gives the slot back', async () => {
    const { clock, backend, ask, slotsUsed } = start();
    const call = ask(['the cat']);
    await clock.settle();
    expect(slotsUsed()).toBe(1);
    expect(backend.embeddings[0]?.request).toEqual({ model: 'm', inputs: ['the cat'] });
    backend.embeddings[0]?.answer(EMBEDDINGS);
    expect(await call.outcome).toEqual(EMBEDDINGS);
    expect(slotsUsed()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    expect(call.trace).toMatchObject({
      model: 'm',
      target: 'fake/0',
      batch: { size: 1 },
      usage: { promptTokens: 5, completionTokens: 0, cachedTokens: 0 },
    });
    expect(call.trace.consumed).toMatchObject({
      promptTokens: 5,
      completionTokens: 0,
      tries: [{ model: 'm' }],
    });
    expect(call.trace).not.toHaveProperty('finishReason');
    expect(call.trace).not.toHaveProperty('firstTokenAt');
  });

  it('waits in the queue for its turn, charged for its texts alone', async () => {
    const { clock, backend, ask, used } = start();
    const first = ask(['12345678', '1234']);
    const second = ask(['later']);
    await clock.settle();
    expect(backend.embeddings).toHaveLength(1);
    // A quarter of the bytes, and two tokens around each text.
    expect(used()).toEqual({ slots: 1, tokens: 3 + 4 });
    backend.embeddings[0]?.answer(EMBEDDINGS);
    await first.outcome;
    await clock.settle();
    backend.embeddings[1]?.answer(EMBEDDINGS);
    expect(await second.outcome).toEqual(EMBEDDINGS);
  });

  it('cancelled in the queue never reaches the backend', async () => {
    const { clock, backend, ask } = start();
    ask(['running']);
    const queued = ask(['queued']);
    await clock.settle();
    queued.cancellation.cancel(new ServingError('client_gone'));
    expect(await queued.outcome).toMatchObject({ code: 'client_gone' });
    backend.embeddings[0]?.answer(EMBEDDINGS);
    await clock.settle();
    expect(backend.embeddings).toHaveLength(1);
  });

  it('cancelled, hears of it at once and keeps its slot until the backend is free of it', async () => {
    const { clock, backend, ask, slotsUsed } = start();
    backend.freesByItself = false;
    const call = ask(['a']);
    await clock.settle();
    call.cancellation.cancel(new ServingError('client_gone'));
    expect(await call.outcome).toMatchObject({ code: 'client_gone' });
    expect(slotsUsed()).toBe(1);
    backend.embeddings[0]?.fail(call.cancellation.reason);
    await clock.settle();
    expect(slotsUsed()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives its slot back after a second when the backend does not become free', async () => {
    const { clock, backend, ask, slotsUsed } = start();
    backend.freesByItself = false;
    const call = ask(['a']);
    await clock.settle();
    call.cancellation.cancel(new ServingError('client_gone'));
    await call.outcome;
    await clock.advance(1000);
    expect(slotsUsed()).toBe(0);
  });

  it('that is not finished by its deadline is a 504', async () => {
    const { clock, backend, ask } = start();
    const call = ask(['a'], { deadlineMs: 300 });
    await clock.settle();
    await clock.advance(300);
    expect(await call.outcome).toMatchObject({ code: 'deadline_exceeded' });
    expect(backend.embeddings[0]?.signal.aborted).toBe(true);
  });

  it('may take longer than a first token may: there is none to show progress', async () => {
    const { clock, backend, ask } = start();
    const call = ask(['a']);
    await clock.settle();
    await clock.advance(30_000);
    backend.embeddings[0]?.answer(EMBEDDINGS);
    expect(await call.outcome).toEqual(EMBEDDINGS);
  });

  it('passes a refusal on and has the target looked at after a failure of it alone', async () => {
    const { clock, backend, ask, slotsUsed } = start();
    const refused = ask(['a']);
    await clock.settle();
    backend.embeddings[0]?.fail(new ServingError('invalid_request', { param: 'model' }));
    expect(await refused.outcome).toMatchObject({ code: 'invalid_request', param: 'model' });
    await clock.settle();
    const before = backend.probes;
    const failed = ask(['b']);
    await clock.settle();
    backend.embeddings[1]?.fail(new Error('socket hang up'));
    expect(await failed.outcome).toMatchObject({ code: 'backend_error' });
    await clock.settle();
    expect(backend.probes).toBe(before + 1);
    expect(slotsUsed()).toBe(0);
  });

  it('is a 400 where the backend makes none', async () => {
    const backend = new FakeBackend();
    Object.defineProperty(backend, 'embed', { value: undefined });
    const { clock, ask, slotsUsed } = start({ backend });
    const call = ask(['a']);
    await clock.settle();
    expect(await call.outcome).toMatchObject({ code: 'invalid_request', param: 'model' });
    expect(slotsUsed()).toBe(0);
  });
});
