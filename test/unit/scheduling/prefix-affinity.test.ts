import { describe, expect, it } from 'vitest';
import type { QueueEntry, SchedulerOptions } from '../../../src/scheduling/decision.ts';
import { IdlePrefixes } from '../../../src/scheduling/prefix-affinity.ts';
import { NO_PREFIX } from '../../../src/scheduling/prefix-fingerprint.ts';
import type { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, prefixOf, settled, started, told } from '../../support/scheduling.ts';

describe('a request that continues what a slot has cached', () => {
  function enqueue(scheduler: Scheduler, id: string, changes: Partial<QueueEntry> = {}, now = 0): void {
    scheduler.enqueue(entry(id, changes), now);
  }

  /** One slot, in which the first turn of the conversation `held` runs; `first` waits, and then `next` of the same conversation. */
  function contested(
    options: Partial<SchedulerOptions> = {},
    changes: { first?: Partial<QueueEntry>; next?: Partial<QueueEntry> } = {},
  ): Scheduler {
    const scheduler = started({ maxQueue: 100, ...options }, 1);
    enqueue(scheduler, 'running', { client: 'nobody', prefix: prefixOf('held', 1) });
    scheduler.tick(0);
    enqueue(scheduler, 'first', { client: 'a', prefix: prefixOf('another', 1), ...changes.first });
    enqueue(scheduler, 'next', { client: 'b', prefix: prefixOf('held', 2), ...changes.next });
    scheduler.tick(0);
    return scheduler;
  }

  function afterRelease(scheduler: Scheduler, id = 'running', now = 0): string[] {
    scheduler.release(id, settled(), now);
    return told(scheduler.tick(now));
  }

  describe('a slot that is free', () => {
    it('goes to the request that continues what it holds', () => {
      expect(afterRelease(contested())).toEqual(['next']);
    });

    it('within one client’s flow too, and in the order "fifo"', () => {
      expect(afterRelease(contested({}, { first: { client: 'b' } }))).toEqual(['next']);
      expect(afterRelease(contested({ order: 'fifo' }))).toEqual(['next']);
    });

    it('goes to the first where overtaking is switched off', () => {
      expect(afterRelease(contested({ maxOvertakes: 0 }))).toEqual(['first']);
    });

    it('goes to the first where that continues what it holds nearly as well', () => {
      const branch = contested({}, { first: { prefix: prefixOf('held', 1) } });
      expect(afterRelease(branch)).toEqual(['first']);
      const little = contested({}, { next: { prefix: undefined } });
      expect(afterRelease(little)).toEqual(['first']);
    });

    it('waits for nobody', () => {
      const scheduler = contested();
      scheduler.cancel('next', 0);
      expect(afterRelease(scheduler)).toEqual(['first']);
    });

    it('of several is the first’s where the first would overwrite another one', () => {
      const scheduler = started({ maxQueue: 100, maxBatchSize: 1 }, 2);
      enqueue(scheduler, 'old', { prefix: prefixOf('old', 1) });
      enqueue(scheduler, 'held', { prefix: prefixOf('held', 1) });
      scheduler.tick(0);
      enqueue(scheduler, 'first', { client: 'a' });
      enqueue(scheduler, 'next', { client: 'b', prefix: prefixOf('held', 2) });
      scheduler.tick(0);
      scheduler.release('old', settled(), 0);
      scheduler.release('held', settled(), 0);
      expect(told(scheduler.tick(0))).toEqual(['first', 'next']);
    });
  });

  describe('what a slot holds', () => {
    it('is what was cancelled there as well', () => {
      const scheduler = contested();
      scheduler.release('running', settled({ outcome: 'cancelled' }), 0);
      expect(told(scheduler.tick(0))).toEqual(['next']);
    });

    it('is not known after a failure', () => {
      const scheduler = contested();
      scheduler.release('running', settled({ outcome: 'failed' }), 0);
      expect(told(scheduler.tick(0))).toEqual(['first']);
    });

    it.each(['down', 'loading'] as const)('is forgotten when its target was %s', (state) => {
      const scheduler = started({ maxQueue: 100 }, 1);
      const setTarget = (to: 'ready' | typeof state) =>
        scheduler.setTarget({ id: 't', model: 'm', slots: 1, state: to, cachesPrefixes: true }, 0);
      enqueue(scheduler, 'running', { prefix: prefixOf('held', 1) });
      scheduler.tick(0);
      setTarget(state);
      setTarget('ready');
      enqueue(scheduler, 'first', { client: 'a' });
      enqueue(scheduler, 'next', { client: 'b', prefix: prefixOf('held', 2) });
      scheduler.tick(0);
      expect(afterRelease(scheduler)).toEqual(['first']);
    });

    it('is of no account at a target that does not cache prefixes', () => {
      const scheduler = contested();
      scheduler.setTarget({ id: 't', model: 'm', slots: 1, state: 'ready' }, 0);
      expect(afterRelease(scheduler)).toEqual(['first']);
    });
  });

  describe('nobody is overtaken', () => {
    it('more often than max_overtakes', () => {
      const scheduler = contested({ maxOvertakes: 2 });
      for (const turns of [3, 4])
        enqueue(scheduler, `turn${turns}`, { client: 'b', prefix: prefixOf('held', turns) });
      expect(afterRelease(scheduler)).toEqual(['next']);
      expect(afterRelease(scheduler, 'next')).toEqual(['turn3']);
      expect(afterRelease(scheduler, 'turn3')).toEqual(['first']);
    });

    it('when what is left of its time might not do', () => {
      // The one that ran took 100 ms, and so may the next.
      const until = (expiresAt: number) => contested({}, { first: { expiresAt } });
      expect(afterRelease(until(205), 'running', 100)).toEqual(['first']);
      expect(afterRelease(until(215), 'running', 100)).toEqual(['next']);
    });

    it('by one of a lower class', () => {
      expect(afterRelease(contested({}, { next: { priority: 'low' } }))).toEqual(['first']);
    });

    it('when its class has aged and the slot is its', () => {
      const scheduler = contested({ agingMs: 100 }, { first: { priority: 'low' } });
      enqueue(scheduler, 'next2', { client: 'b', prefix: prefixOf('held', 3) });
      enqueue(scheduler, 'next3', { client: 'b', prefix: prefixOf('held', 4) });
      const [before = ''] = afterRelease(scheduler);
      expect(before).not.toBe('first');
      expect(afterRelease(scheduler, before, 100)).toEqual(['first']);
    });

    it('by one for which there is no room', () => {
      const scheduler = started({ maxQueue: 100, maxTokensInFlight: 30 }, 2);
      enqueue(scheduler, 'running', { prefix: prefixOf('held', 1) });
      enqueue(scheduler, 'other', {});
      scheduler.tick(0);
      enqueue(scheduler, 'first', { client: 'a' });
      enqueue(scheduler, 'next', { client: 'b', promptTokens: 20, prefix: prefixOf('held', 2) });
      expect(afterRelease(scheduler)).toEqual(['first']);
    });

    it.each([
      { spent: 40, next: 'next' },
      { spent: 41, next: 'first' },
    ])('by a client that is ahead by more than that many such requests: $spent tokens', ({ spent, next }) => {
      const scheduler = started({ maxQueue: 100, maxOvertakes: 4 }, 1);
      enqueue(scheduler, 'running', { client: 'b', promptTokens: spent - 8, prefix: prefixOf('held', 1) });
      enqueue(scheduler, 'next', { client: 'b', prefix: prefixOf('held', 2) });
      enqueue(scheduler, 'first', { client: 'a' });
      scheduler.tick(0);
      scheduler.release('running', settled({ promptTokens: spent - 8 }), 0);
      expect(told(scheduler.tick(0))).toEqual([next]);
    });
  });

  it('a client that overtook waits until the others have what it got early', () => {
    const scheduler = started({ maxQueue: 100 }, 1);
    enqueue(scheduler, 'running', { client: 'b', prefix: prefixOf('held', 1) });
    scheduler.tick(0);
    for (const id of ['a1', 'a2', 'a3', 'a4']) enqueue(scheduler, id, { client: 'a' });
    enqueue(scheduler, 'b1', { client: 'b', prefix: prefixOf('held', 2) });
    enqueue(scheduler, 'b2', { client: 'b', prefix: prefixOf('held', 3) });
    enqueue(scheduler, 'b3', { client: 'b' });
    enqueue(scheduler, 'b4', { client: 'b' });
    const order: string[] = [];
    for (let last = 'running'; order.length < 8; order.push(last))
      last = afterRelease(scheduler, last)[0] ?? '';
    expect(order).toEqual(['b1', 'b2', 'a1', 'a2', 'b3', 'a3', 'b4', 'a4']);
  });

  it('what was cached is not charged', () => {
    const scheduler = started({ maxQueue: 100, maxOvertakes: 0 }, 1);
    enqueue(scheduler, 'running');
    scheduler.tick(0);
    for (const id of ['a1', 'a2', 'a3']) enqueue(scheduler, id, { client: 'a', promptTokens: 92 });
    for (const id of ['b1', 'b2', 'b3']) enqueue(scheduler, id, { client: 'b', promptTokens: 92 });
    const order: string[] = [];
    for (let last = 'running'; order.length < 6; order.push(last)) {
      const cachedTokens = last.startsWith('a') ? 92 : 0;
      scheduler.release(last, settled({ promptTokens: 92, cachedTokens }), 0);
      last = told(scheduler.tick(0))[0] ?? '';
    }
    expect(order).toEqual(['a1', 'b1', 'a2', 'a3', 'b2', 'b3']);
  });
});

describe('the record of what idle slots hold', () => {
  const [A, B, C] = ['a', 'b', 'c'].map((name) => prefixOf(name, 1)) as [
    ReturnType<typeof prefixOf>,
    ReturnType<typeof prefixOf>,
    ReturnType<typeof prefixOf>,
  ];

  function holding(...prefixes: (typeof A)[]): IdlePrefixes {
    const idle = new IdlePrefixes();
    for (const prefix of prefixes) idle.giveBack(prefix);
    return idle;
  }

  describe('of the idle slots', () => {
    it('the one that holds the longest beginning of a prompt is its', () => {
      const idle = holding(A, prefixOf('b', 2), B);
      expect(idle.chosenFor(prefixOf('b', 3))).toEqual({ held: prefixOf('b', 2), shared: 2 * 416 });
    });

    it('the least recently used one is for who continues none', () => {
      const idle = holding(A, B);
      expect(idle.chosenFor(C)).toEqual({ held: A, shared: 0 });
      idle.take(C);
      expect(idle.chosenFor(C).held).toBe(B);
    });

    it('one that held nothing is taken before one that holds something', () => {
      const idle = new IdlePrefixes();
      idle.fit(2);
      idle.take(A);
      idle.giveBack(A);
      expect(idle.chosenFor(B).held).toBe(NO_PREFIX);
      expect(idle.chosenFor(prefixOf('a', 2)).held).toBe(A);
    });

    it('no more are remembered than there are', () => {
      const idle = holding(A, B, C);
      idle.fit(2);
      expect(idle.chosenFor(prefixOf('a', 2))).toEqual({ held: B, shared: 0 });
      idle.fit(0);
      expect(idle.chosenFor(B)).toEqual({ held: NO_PREFIX, shared: 0 });
    });
  });
});
