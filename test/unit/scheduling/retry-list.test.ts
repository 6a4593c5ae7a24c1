import { describe, expect, it } from 'vitest';
import type { RetryPlace, SchedulerTarget } from '../../../src/scheduling/decision.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, FAR, SCHEDULER } from '../../support/scheduling.ts';

const COMPLETED = { outcome: 'completed', promptTokens: 2, answerTokens: 8, firstTokenMs: 1 } as const;

/** Targets by name, ready with one slot unless they differ. */
function start(targets: Readonly<Record<string, Partial<SchedulerTarget>>>) {
  const scheduler = new Scheduler({ ...SCHEDULER, maxQueue: 2 });
  const set = (id: string, changes: Partial<SchedulerTarget>) =>
    scheduler.setTarget({ id, model: 'm', slots: 1, state: 'ready', ...changes }, 0);
  for (const [id, changes] of Object.entries(targets)) set(id, changes);
  const again = (id: string, place: Partial<RetryPlace> & { readonly deadlineAt?: number } = {}) => {
    const { avoid = new Set<string>(), minContextSize, firstQueuedAt = 0, deadlineAt = FAR } = place;
    const { awaitsTrial = false } = place;
    const retry = { avoid, minContextSize, firstQueuedAt, awaitsTrial };
    scheduler.enqueue(entry(id, { deadlineAt, retry }), 0);
  };
  /** `id target`, or `id code`. */
  const tick = (now = 0) =>
    scheduler
      .tick(now)
      .flatMap((decision) =>
        decision.type === 'reject'
          ? [`${decision.id} ${decision.code}`]
          : decision.batch.members.map(({ id, target }) => `${id} ${target}`),
      );
  return { scheduler, set, again, tick };
}

describe('a request that is tried again', () => {
  it('goes before all that wait, in the order in which they were first queued', () => {
    const { scheduler, again, tick } = start({ one: {} });
    scheduler.enqueue(entry('running'), 0);
    tick();
    scheduler.enqueue(entry('waiting'), 0);
    again('later', { firstQueuedAt: 20 });
    again('earlier', { firstQueuedAt: 10 });
    expect(tick()).toEqual([]);
    expect(scheduler.waiting('m').requests).toBe(3);
    expect(['earlier', 'later'].map((id) => scheduler.position(id)?.position)).toEqual([1, 2]);
    for (const [held, next] of [
      ['running', 'earlier'],
      ['earlier', 'later'],
      ['later', 'waiting'],
    ] as const) {
      scheduler.release(held, COMPLETED, 0);
      expect(tick()).toEqual([`${next} one`]);
    }
    expect(scheduler.waiting('m').requests).toBe(0);
  });

  it('is paid for by its first try: failing first brings a client no more answers than others', () => {
    const scheduler = new Scheduler({ ...SCHEDULER, maxQueue: 100 });
    scheduler.setTarget({ id: 'one', model: 'm', slots: 1, state: 'ready' }, 0);
    for (let count = 0; count < 20; count += 1)
      for (const client of ['failing', 'honest'])
        scheduler.enqueue(entry(`${client}_${count}`, { client, promptTokens: 2, maxTokens: 8 }), 0);
    const answers = { failing: 0, honest: 0 };
    while (answers.failing + answers.honest < 20) {
      const [decision] = scheduler.tick(0);
      if (decision?.type !== 'dispatch') throw new Error('nothing was dispatched');
      const id = decision.batch.members[0]?.id ?? '';
      if (!id.startsWith('failing') || id.endsWith('again')) {
        scheduler.release(id, COMPLETED, 0);
        answers[id.startsWith('failing') ? 'failing' : 'honest'] += 1;
        continue;
      }
      scheduler.release(
        id,
        { outcome: 'failed', promptTokens: 2, answerTokens: 0, firstTokenMs: undefined },
        0,
      );
      const retry = {
        avoid: new Set<string>(),
        minContextSize: undefined,
        firstQueuedAt: 0,
        awaitsTrial: false,
      };
      scheduler.enqueue(entry(`${id}_again`, { client: 'failing', promptTokens: 2, maxTokens: 8, retry }), 0);
    }
    expect(answers.failing).toBeLessThanOrEqual(answers.honest + 1);
  });

  it('is no part of what the bounds of the queue count', () => {
    const { again, tick, scheduler } = start({ one: { state: 'loading' } });
    for (const id of ['a', 'b', 'c', 'd']) again(id);
    scheduler.enqueue(entry('new'), 0);
    expect(tick()).toEqual([]);
    expect(scheduler.waiting('m')).toEqual({ requests: 5, sizeBytes: 50 });
  });

  it('never gets a target that it avoids, and keeps nobody else from it', () => {
    const { scheduler, again, tick } = start({ one: {}, other: {} });
    scheduler.enqueue(entry('a'), 0);
    scheduler.enqueue(entry('b'), 0);
    tick();
    again('retry', { avoid: new Set(['one']) });
    scheduler.enqueue(entry('c'), 0);
    scheduler.release('a', COMPLETED, 0);
    expect(tick()).toEqual(['c one']);
    scheduler.release('b', COMPLETED, 0);
    expect(tick()).toEqual(['retry other']);
  });

  it('is rejected when no target is left that may get it, and waits for one that is loading', () => {
    const { set, again, tick } = start({ one: {}, other: { state: 'loading' } });
    again('retry', { avoid: new Set(['one']) });
    expect(tick()).toEqual([]);
    set('other', { state: 'down' });
    expect(tick()).toEqual(['retry no_backend_available']);
  });

  it('gets a target whose context is large enough, or not known', () => {
    const { set, again, tick, scheduler } = start({
      one: { contextSize: 1000 },
      other: { contextSize: 4000 },
    });
    again('a', { minContextSize: 2000 });
    expect(tick()).toEqual(['a other']);
    scheduler.release('a', COMPLETED, 0);
    again('b', { minContextSize: 8000 });
    expect(tick()).toEqual(['b no_backend_available']);
    set('other', { contextSize: undefined });
    again('c', { minContextSize: 8000 });
    expect(tick()).toEqual(['c other']);
  });

  it('waits until its deadline, at which the scheduler wakes by itself', () => {
    const { again, tick, scheduler } = start({ one: { state: 'loading' } });
    again('retry', { deadlineAt: 500 });
    again('other', { deadlineAt: 900 });
    expect(tick()).toEqual([]);
    expect(scheduler.nextWakeAt()).toBe(500);
    expect(tick(499)).toEqual([]);
    expect(tick(500)).toEqual(['retry queue_timeout']);
    expect(scheduler.nextWakeAt()).toBe(900);
  });

  it('leaves when it is cancelled', () => {
    const { again, tick, scheduler, set } = start({ one: { state: 'loading' } });
    again('retry');
    scheduler.cancel('retry', 0);
    set('one', { state: 'ready' });
    expect(tick()).toEqual([]);
    expect(scheduler.waiting('m')).toEqual({ requests: 0, sizeBytes: 0 });
  });

  it('is not the trial of a target that came back, where another has room', () => {
    const { again, tick, scheduler } = start({ back: { state: 'probing' }, one: {} });
    again('retry');
    scheduler.enqueue(entry('new'), 0);
    expect(tick()).toEqual(['retry one', 'new back']);
  });
});

describe('a request that is tried again while another request is the trial of its last target', () => {
  function duringTrial() {
    const started = start({ failed: {}, back: { state: 'probing' } });
    started.scheduler.enqueue(entry('trial'), 0);
    expect(started.tick()).toEqual(['trial back']);
    return { ...started, avoid: new Set(['failed']) };
  }

  it('is rejected, as another’s answer may take as long as its time limit', () => {
    const { again, tick, scheduler, avoid } = duringTrial();
    expect(scheduler.alternative('m', { avoid })).toBeUndefined();
    again('retry', { avoid });
    expect(tick()).toEqual(['retry no_backend_available']);
  });

  it('waits for the end of the trial where it would have to fail otherwise', () => {
    const { again, set, tick, scheduler, avoid } = duringTrial();
    expect(scheduler.alternative('m', { avoid, awaitsTrial: true })).toEqual({
      healthy: false,
      inService: true,
    });
    again('retry', { avoid, awaitsTrial: true });
    expect(tick()).toEqual([]);
    scheduler.release('trial', COMPLETED, 0);
    set('back', { state: 'ready' });
    expect(tick()).toEqual(['retry back']);
  });
});

describe('fallback targets', () => {
  it('get a request only while no primary one serves it, with room or without', () => {
    const { scheduler, set, tick } = start({ spare: { role: 'fallback', slots: 4 }, one: {} });
    for (const id of ['a', 'b']) scheduler.enqueue(entry(id), 0);
    expect(tick()).toEqual(['a one']);
    set('one', { state: 'down' });
    expect(tick()).toEqual(['b spare']);
  });

  it('get what waits for the trial of the only primary one', () => {
    const { scheduler, tick } = start({ spare: { role: 'fallback' }, one: { state: 'probing' } });
    for (const id of ['a', 'b']) scheduler.enqueue(entry(id), 0);
    expect(tick()).toEqual(['a one', 'b spare']);
  });

  it('have no trial while a primary one is ready', () => {
    const { scheduler, tick } = start({ spare: { role: 'fallback', state: 'probing' }, one: {} });
    for (const id of ['a', 'b']) scheduler.enqueue(entry(id), 0);
    expect(tick()).toEqual(['a one']);
  });
});

describe('what other targets offer', () => {
  it('is nothing where all are avoided, away, or too small', () => {
    const { scheduler } = start({ one: {}, away: { state: 'down' }, small: { contextSize: 10 } });
    const needs = { avoid: new Set(['one']), minContextSize: 100 };
    expect(scheduler.alternative('m', needs)).toBeUndefined();
    expect(scheduler.alternative('unknown', { avoid: new Set() })).toBeUndefined();
  });

  it('is healthy where one of them is', () => {
    const { scheduler, set } = start({ one: {}, other: {} });
    const needs = { avoid: new Set(['one']) };
    expect(scheduler.alternative('m', needs)).toEqual({ healthy: true, inService: true });
    set('other', { degraded: true });
    expect(scheduler.alternative('m', needs)).toEqual({ healthy: false, inService: true });
    set('other', { state: 'probing' });
    expect(scheduler.alternative('m', needs)).toEqual({ healthy: false, inService: true });
  });
});
