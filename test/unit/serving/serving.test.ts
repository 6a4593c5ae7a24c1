import { describe, expect, it } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import type { GenerationInput, GenerationRequest } from '../../../src/core/generation.ts';
import type { Log } from '../../../src/core/log.ts';
import { slotCountOf, type Target } from '../../../src/serving/targets.ts';
import { FakeBackend, FINISH, fakeTarget, textRequest } from '../../support/fake-backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { SCHEDULER } from '../../support/scheduling.ts';
import { servingWith } from '../../support/serving-with.ts';

describe('the slots of a target', () => {
  async function start(overrides: Partial<Target>) {
    const clock = new FakeClock();
    const backend = new FakeBackend();
    backend.status = { state: 'ready', loaded: true, slots: 3 };
    const warned: string[] = [];
    const log: Log = { debug() {}, info() {}, warn: (message) => void warned.push(message), error() {} };
    const target = fakeTarget(backend, {
      slots: 1,
      status: { state: 'loading', loaded: false },
      ...overrides,
    });
    const serving = servingWith({
      clock,
      log,
      targets: [target],
      scheduler: { ...SCHEDULER, maxBatchSize: 8 },
    });
    serving.start();
    await clock.settle();
    for (const id of ['a', 'b', 'c', 'd']) {
      const cancellation = new Cancellation();
      const deadlineAt = clock.now() + 60_000;
      const trace = { requestId: id, receivedAt: clock.now() };
      const call = { request: textRequest(id), trace, client: 'c', priority: 'normal' as const };
      serving.generate({ ...call, cancellation, deadlineAt }, { event: () => {}, fail: () => {} });
    }
    await clock.settle();
    await serving.close();
    return { target, running: backend.runs.length, warned };
  }

  it('a target whose slots are not configured has as many as its server tells', async () => {
    const { target, running, warned } = await start({});
    expect(slotCountOf(target)).toBe(3);
    expect(running).toBe(3);
    expect(warned).toEqual([]);
  });

  it('configured slots stay, with a warning once where the server runs another number', async () => {
    const { target, running, warned } = await start({ slots: 2, slotsConfigured: true });
    expect(slotCountOf(target)).toBe(2);
    expect(running).toBe(2);
    expect(warned).toEqual([
      'slots is 2, but the server runs 3 requests at the same time: set slots to 3 or leave it out, or start the server with 2',
    ]);
    expect((await start({ slots: 3, slotsConfigured: true })).warned).toEqual([]);
  });
});

describe('targets that cache prefixes', () => {
  /** The first of these targets has one slot; the others are down. */
  let hasManyKeys = false;

  function start(...isolations: readonly Target['cacheIsolation'][]) {
    const clock = new FakeClock();
    const backend = new FakeBackend();
    const targets = isolations.map((cacheIsolation, index) =>
      fakeTarget(backend, {
        id: `fake/${index}`,
        slots: 1,
        cacheIsolation,
        status: index === 0 ? { state: 'ready', loaded: true } : { state: 'failed', loaded: false },
      }),
    );
    const serving = servingWith({
      clock,
      targets,
      queueTimeoutMs: 50_000,
      hasManyKeys: () => hasManyKeys,
    });
    const ask = (id: string, client: string, input: GenerationInput) => {
      const request: GenerationRequest = { ...textRequest(id), input };
      const cancellation = new Cancellation();
      const call = { request, client, priority: 'normal', cancellation, deadlineAt: 60_000 } as const;
      serving.generate(
        { ...call, trace: { requestId: id, receivedAt: 0 } },
        { event: () => {}, fail: () => {} },
      );
    };
    const end = (id: string) => backend.runs.find(({ request }) => request.id === id)?.send(FINISH);
    return { clock, backend, ask, end, order: () => backend.runs.map(({ request }) => request.id) };
  }

  const ASKED = { role: 'user', content: 'a question '.repeat(50) } as const;
  const NEXT_TURN: GenerationInput = {
    kind: 'chat',
    messages: [ASKED, { role: 'assistant', content: 'an answer' }, { role: 'user', content: 'and then?' }],
  };

  /** One client asks; when it has its answer, another’s request is first, and after it `follower` goes on with what the first one said. */
  async function contest(
    isolations: readonly Target['cacheIsolation'][],
    follower: string,
  ): Promise<string[]> {
    const { clock, ask, end, order } = start(...isolations);
    ask('asked', 'one', { kind: 'chat', messages: [ASKED] });
    await clock.settle();
    ask('unrelated', 'other', { kind: 'text', prompt: 'something else' });
    ask('follows', follower, NEXT_TURN);
    await clock.settle();
    end('asked');
    await clock.settle();
    return order();
  }

  it('a slot goes on with the conversation it has cached', async () => {
    expect(await contest(['shared'], 'one')).toEqual(['asked', 'follows']);
    expect(await contest(['client'], 'one')).toEqual(['asked', 'follows']);
  });

  it('another client’s request is taken for a continuation only where clients share their caches', async () => {
    expect(await contest(['shared'], 'third')).toEqual(['asked', 'follows']);
    expect(await contest(['client'], 'third')).toEqual(['asked', 'unrelated']);
    expect(await contest(['shared', 'client'], 'third')).toEqual(['asked', 'unrelated']);
  });

  it('clients are kept apart where nobody has decided, as soon as there is more than one key', async () => {
    hasManyKeys = false;
    expect(await contest(['by_keys'], 'third')).toEqual(['asked', 'follows']);
    expect(await contest(['by_keys', 'client'], 'third')).toEqual(['asked', 'unrelated']);
    hasManyKeys = true;
    expect(await contest(['by_keys'], 'third')).toEqual(['asked', 'unrelated']);
    expect(await contest(['by_keys'], 'one')).toEqual(['asked', 'follows']);
    expect(await contest(['shared'], 'third')).toEqual(['asked', 'follows']);
  });

  it('the order is as ever at a target that sees to its cache itself', async () => {
    expect(await contest([undefined], 'one')).toEqual(['asked', 'unrelated']);
  });

  it('a backend is told whose cache it may use where clients are kept apart, and only there', async () => {
    hasManyKeys = true;
    for (const [isolation, scope] of [
      ['client', 'one'],
      ['by_keys', 'one'],
      ['shared', undefined],
      [undefined, undefined],
    ] as const) {
      const { clock, backend, ask } = start(isolation);
      ask('asked', 'one', { kind: 'chat', messages: [ASKED] });
      await clock.settle();
      expect(backend.runs.map(({ cacheScope }) => cacheScope)).toEqual([scope]);
    }
  });
});
