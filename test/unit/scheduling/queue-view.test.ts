import { describe, expect, it } from 'vitest';
import type { WaitingReason } from '../../../src/core/live-snapshot.ts';
import type { QueueEntry, SchedulerOptions, SchedulerTarget } from '../../../src/scheduling/decision.ts';
import { waitingReason } from '../../../src/scheduling/queue-view.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, SCHEDULER, settled, started, told } from '../../support/scheduling.ts';

const NEXT = { serves: true, isLoading: false, isCollecting: false, isNext: true, hasFreeSlot: false };

it.each<[WaitingReason, Partial<typeof NEXT>]>([
  ['no_free_slot', {}],
  ['no_free_slot', { isLoading: true }],
  ['token_limit', { hasFreeSlot: true }],
  ['turn_of_others', { isNext: false }],
  ['turn_of_others', { isNext: false, hasFreeSlot: true }],
  ['batch_window', { isCollecting: true, hasFreeSlot: true }],
  ['batch_window', { isCollecting: true, isNext: false }],
  ['model_loading', { serves: false, isLoading: true }],
  ['no_target_serves', { serves: false }],
  ['no_target_serves', { serves: false, isCollecting: true, hasFreeSlot: true }],
])('%s where the next of a served model is %j', (reason, difference) => {
  expect(waitingReason({ ...NEXT, ...difference })).toBe(reason);
});

describe('the view of a scheduler', () => {
  const TARGET: SchedulerTarget = { id: 't', model: 'm', slots: 1, state: 'ready', cachesPrefixes: false };

  const retry = (...avoid: readonly string[]) => ({ avoid: new Set(avoid), firstQueuedAt: 0 });

  interface Case {
    readonly options?: Partial<SchedulerOptions>;
    /** Of the only target, or of several. */
    readonly targets?: readonly Partial<SchedulerTarget>[];
    /** They come one after the other, each in a turn of its own; the first ones may run. */
    readonly entries: readonly Partial<QueueEntry>[];
    /** Of those that wait, in their order. */
    readonly reasons: Readonly<Record<string, WaitingReason>>;
  }

  it.each<[string, Case]>([
    [
      'the first waits for a slot, those behind it for their turn',
      {
        entries: [{ id: 'runs' }, { id: 'next' }, { id: 'after' }],
        reasons: { next: 'no_free_slot', after: 'turn_of_others' },
      },
    ],
    [
      'a slot is free, but the tokens in flight are at their bound',
      {
        options: { maxTokensInFlight: 15 },
        targets: [{ slots: 8 }],
        entries: [{ id: 'runs' }, { id: 'next' }, { id: 'after' }],
        reasons: { next: 'token_limit', after: 'turn_of_others' },
      },
    ],
    [
      'a batch collects, with all its members, although a slot is free',
      {
        options: { mode: 'window', windowMs: 50 },
        targets: [{ slots: 8 }],
        entries: [{ id: 'a' }, { id: 'b' }],
        reasons: { a: 'batch_window', b: 'batch_window' },
      },
    ],
    [
      'the model loads',
      {
        targets: [{ state: 'loading' }],
        entries: [{ id: 'a' }, { id: 'b' }],
        reasons: { a: 'model_loading', b: 'model_loading' },
      },
    ],
    [
      'one target is down, another one loads',
      {
        targets: [{ state: 'down' }, { id: 'u', state: 'loading' }],
        entries: [{ id: 'a' }],
        reasons: { a: 'model_loading' },
      },
    ],
    [
      'one target loads, another one serves and is full',
      {
        targets: [{}, { id: 'u', state: 'loading' }],
        entries: [{ id: 'runs' }, { id: 'next' }],
        reasons: { next: 'no_free_slot' },
      },
    ],
    [
      'a higher class is first in order',
      {
        entries: [{ id: 'runs' }, { id: 'low', priority: 'low' }, { id: 'high', priority: 'high' }],
        reasons: { high: 'no_free_slot', low: 'turn_of_others' },
      },
    ],
    [
      'a second try is before all others, and two of them each wait for a slot of their own',
      {
        entries: [
          { id: 'runs' },
          { id: 'next' },
          { id: 'retried', retry: retry() },
          { id: 'also retried', retry: retry() },
        ],
        reasons: { retried: 'no_free_slot', 'also retried': 'no_free_slot', next: 'turn_of_others' },
      },
    ],
    [
      'a second try that has to avoid the only target with a free slot',
      {
        targets: [{}, { id: 'u' }],
        entries: [
          { id: 'runs at u', retry: retry('t') },
          { id: 'retried', retry: retry('t') },
        ],
        reasons: { retried: 'no_free_slot' },
      },
    ],
  ])('%s', (_, { options = {}, targets = [{}], entries, reasons }) => {
    const scheduler = new Scheduler({ ...SCHEDULER, maxQueue: 100, ...options });
    for (const target of targets) scheduler.setTarget({ ...TARGET, ...target }, 0);
    scheduler.tick(0);
    for (const { id = '', ...changes } of entries) {
      scheduler.enqueue(entry(id, changes), 0);
      scheduler.tick(0);
    }
    const view = scheduler.view(100, 0);
    expect(Object.fromEntries(view.map(({ id, reason }) => [id, reason]))).toEqual(reasons);
    expect(view.map(({ id }) => id)).toEqual(Object.keys(reasons));
    expect(view.map(({ position }) => position)).toEqual(view.map((_each, index) => index + 1));
    // One alone is seen as among all.
    for (const { id, reason } of view) expect(scheduler.viewOf(id)?.reason, id).toBe(reason);
  });

  it('a second try waits on while the only target is ejected and busy; no other request does', () => {
    const scheduler = started({ maxQueue: 100 }, 1);
    scheduler.enqueue(entry('runs'), 0);
    scheduler.tick(0);
    scheduler.setTarget({ ...TARGET, state: 'ejected' }, 0);
    scheduler.enqueue(entry('retried', { retry: retry() }), 0);
    scheduler.enqueue(entry('new'), 0);
    expect(told(scheduler.tick(0))).toEqual(['!new:no_backend_available']);
    expect(scheduler.view(100, 0)).toMatchObject([
      { id: 'retried', reason: 'no_target_serves', position: 1 },
    ]);
  });

  it('shows the first ones only, with when their wait ends', () => {
    const scheduler = started({ maxQueue: 100 }, 1);
    for (let at = 0; at < 10; at += 1) scheduler.enqueue(entry(`e${at}`, { expiresAt: 1000 + at }), 0);
    scheduler.tick(0);
    expect(scheduler.view(3, 5).map(({ id, expiresAt }) => [id, expiresAt])).toEqual([
      ['e1', 1001],
      ['e2', 1002],
      ['e3', 1003],
    ]);
  });

  it('has no estimate of the wait before it has seen enough answers, then a longer one for each in the queue', () => {
    const scheduler = started({ maxQueue: 100 }, 1);
    let now = 0;
    const serve = (id: string) => {
      scheduler.enqueue(entry(id), now);
      scheduler.tick(now);
      now += 100;
      scheduler.release(id, settled({ firstTokenMs: 20 }), now);
      scheduler.tick(now);
    };
    const waitTwo = (name: string) => {
      for (const id of ['runs', 'next', 'then']) scheduler.enqueue(entry(`${name} ${id}`), now);
      scheduler.tick(now);
      const view = scheduler.view(100, now);
      for (const { id } of view) scheduler.cancel(id, now);
      now += 100;
      scheduler.release(`${name} runs`, settled({ firstTokenMs: 20 }), now);
      scheduler.tick(now);
      return view.map(({ etaMs }) => etaMs);
    };
    expect(waitTwo('first')).toEqual([undefined, undefined]);
    for (let at = 0; at < 50; at += 1) serve(`s${at}`);
    const [next = Number.NaN, then = Number.NaN] = waitTwo('later');
    expect(next).toBeGreaterThan(0);
    expect(then).toBeGreaterThan(next);
  });
});
