import { describe, expect, it } from 'vitest';
import type { SchedulerOptions } from '../../../src/scheduling/decision.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, FAR, SCHEDULER, settled, started, told } from '../../support/scheduling.ts';

describe('scheduling', () => {
  const EAGER: SchedulerOptions = SCHEDULER;
  const WINDOW: SchedulerOptions = { ...EAGER, mode: 'window' };

  function enqueue(scheduler: Scheduler, ids: readonly string[], now = 0, expiresAt = FAR): void {
    for (const id of ids) scheduler.enqueue(entry(id, { expiresAt }), now);
  }

  describe('a target that is removed', () => {
    it('gets nothing more; what runs there is counted until its end, also beside a new one of the same name', () => {
      const scheduler = new Scheduler(EAGER);
      const target = { id: 't', model: 'm', slots: 1, state: 'ready' as const };
      scheduler.setTarget(target, 0);
      enqueue(scheduler, ['a', 'b']);
      expect(told(scheduler.tick(0))).toEqual(['a']);
      const old = scheduler.removeTarget(target, 1);
      expect(old.used).toBe(1);
      scheduler.setTarget({ ...target, state: 'loading' }, 1);
      expect(told(scheduler.tick(1))).toEqual([]);
      scheduler.setTarget(target, 2);
      expect(told(scheduler.tick(2))).toEqual(['b']);
      expect([scheduler.usedOf(target).slots, scheduler.running('m')]).toEqual([1, 2]);
      scheduler.release('a', settled(), 3);
      expect([old.used, scheduler.usedOf(target).slots]).toEqual([0, 1]);
    });

    it('leaves an unused queue behind, which is forgotten once nothing waits or runs', () => {
      const scheduler = new Scheduler(EAGER);
      const target = { id: 't', model: 'm', slots: 1, state: 'ready' as const };
      scheduler.setTarget(target, 0);
      enqueue(scheduler, ['a', 'b']);
      scheduler.tick(0);
      scheduler.removeTarget(target, 1);
      scheduler.forgetUnused();
      expect([scheduler.waiting('m').requests, scheduler.running('m')]).toEqual([1, 1]);
      // No target is left that it could wait for.
      expect(told(scheduler.tick(1))).toEqual(['!b:no_backend_available']);
      scheduler.forgetUnused();
      scheduler.release('a', settled(), 2);
      expect(scheduler.running('m')).toBe(0);
      scheduler.forgetUnused();
      expect(scheduler.nextWakeAt()).toBe(2);
      expect(told(scheduler.tick(2))).toEqual([]);
    });
  });

  describe('eager mode', () => {
    it('sends what one turn brought as one batch, as far as slots are free', () => {
      const scheduler = started(EAGER, 3);
      enqueue(scheduler, ['a', 'b', 'c', 'd']);
      expect(told(scheduler.tick(0))).toEqual(['a+b+c']);
    });

    it('asks for a tick at once, and not again when there is nothing to decide', () => {
      const scheduler = started(EAGER);
      enqueue(scheduler, ['a'], 7);
      expect(scheduler.nextWakeAt()).toBeLessThanOrEqual(7);
      scheduler.tick(7);
      expect(scheduler.nextWakeAt()).toBeUndefined();
    });

    it('never makes a batch larger than the limit', () => {
      const scheduler = started(EAGER, 6);
      enqueue(scheduler, ['a', 'b', 'c', 'd', 'e', 'f']);
      expect(told(scheduler.tick(0))).toEqual(['a+b+c+d', 'e+f']);
    });

    it('does not wait for the other members of a batch: each release lets the next one in', () => {
      const scheduler = started(EAGER);
      enqueue(scheduler, ['long', 'short', 'next']);
      scheduler.tick(0);
      scheduler.release('short', settled(), 10);
      expect(told(scheduler.tick(10))).toEqual(['next']);
    });

    it('serves in the order of arrival', () => {
      const scheduler = started(EAGER, 1);
      enqueue(scheduler, ['a', 'b', 'c']);
      expect(told(scheduler.tick(0))).toEqual(['a']);
      scheduler.release('a', settled(), 1);
      expect(told(scheduler.tick(1))).toEqual(['b']);
      scheduler.release('b', settled({ outcome: 'failed' }), 2);
      expect(told(scheduler.tick(2))).toEqual(['c']);
    });
  });

  describe('window mode', () => {
    it('closes a batch when its window has passed since the first member', () => {
      const scheduler = started(WINDOW, 4);
      enqueue(scheduler, ['a'], 100);
      expect(told(scheduler.tick(100))).toEqual([]);
      expect(scheduler.nextWakeAt()).toBe(105);
      enqueue(scheduler, ['b'], 103);
      expect(told(scheduler.tick(103))).toEqual([]);
      expect(told(scheduler.tick(105))).toEqual(['a+b']);
    });

    it('closes a batch that is full without waiting', () => {
      const scheduler = started(WINDOW, 8);
      enqueue(scheduler, ['a', 'b', 'c', 'd', 'e'], 100);
      expect(told(scheduler.tick(100))).toEqual(['a+b+c+d']);
      expect(told(scheduler.tick(105))).toEqual(['e']);
    });

    it('keeps the members beyond the free slots at the head', () => {
      const scheduler = started(WINDOW, 2);
      enqueue(scheduler, ['a', 'b', 'c', 'd'], 0);
      expect(told(scheduler.tick(0))).toEqual(['a+b']);
      enqueue(scheduler, ['late'], 1);
      scheduler.release('a', settled(), 2);
      scheduler.release('b', settled(), 2);
      expect(told(scheduler.tick(2))).toEqual(['c+d']);
    });
  });

  describe('slots', () => {
    it('are given back once, however often they are released', () => {
      const scheduler = started(EAGER, 1);
      enqueue(scheduler, ['a', 'b', 'c']);
      scheduler.tick(0);
      scheduler.release('a', settled(), 1);
      scheduler.release('a', settled(), 1);
      expect(told(scheduler.tick(1))).toEqual(['b']);
      expect(scheduler.usedOf({ id: 't', model: 'm' }).slots).toBe(1);
    });

    it('of the least loaded target are taken first', () => {
      const scheduler = started(EAGER, 4);
      scheduler.setTarget({ id: 'u', model: 'm', slots: 2, state: 'ready' }, 0);
      enqueue(scheduler, ['a', 'b', 'c']);
      const [decision] = scheduler.tick(0);
      const targets = decision?.type === 'dispatch' ? decision.batch.members.map(({ target }) => target) : [];
      expect(targets).toEqual(['t', 'u', 't']);
    });

    it('of one model never hold up another', () => {
      const scheduler = started(EAGER, 1);
      scheduler.setTarget({ id: 'x', model: 'other', slots: 1, state: 'ready' }, 0);
      enqueue(scheduler, ['a', 'b']);
      scheduler.enqueue(entry('o', { model: 'other' }), 0);
      expect(told(scheduler.tick(0))).toEqual(['a', 'o']);
    });

    it('that were taken away while held are not granted again until they exist', () => {
      const scheduler = started(EAGER, 2);
      enqueue(scheduler, ['a', 'b', 'c']);
      scheduler.tick(0);
      scheduler.setTarget({ id: 't', model: 'm', slots: 1, state: 'ready' }, 1);
      scheduler.release('a', settled(), 2);
      expect(told(scheduler.tick(2))).toEqual([]);
      scheduler.release('b', settled(), 3);
      expect(told(scheduler.tick(3))).toEqual(['c']);
    });
  });

  describe('what cannot be served', () => {
    it('expires in the queue by its own time, and is told when to retry', () => {
      const scheduler = started(EAGER, 1);
      enqueue(scheduler, ['running']);
      scheduler.tick(0);
      enqueue(scheduler, ['impatient'], 0, 50);
      enqueue(scheduler, ['patient'], 0, 500);
      scheduler.tick(0);
      expect(scheduler.nextWakeAt()).toBe(50);
      const decisions = scheduler.tick(50);
      expect(told(decisions)).toEqual(['!impatient:queue_timeout']);
      expect(decisions[0]).toMatchObject({ retryAfterSeconds: 3 });
      expect(scheduler.nextWakeAt()).toBe(500);
    });

    it('is refused when the queue is full, the newest first, after slots have been filled', () => {
      const scheduler = started({ ...EAGER, maxQueue: 2 }, 2);
      enqueue(scheduler, ['a', 'b', 'c', 'd', 'e']);
      expect(told(scheduler.tick(0))).toEqual(['a+b', '!e:queue_full']);
    });

    it('waits while a target is loading, and is told model_loading when its time runs out', () => {
      const scheduler = new Scheduler(EAGER);
      scheduler.setTarget({ id: 't', model: 'm', slots: 1, state: 'loading' }, 0);
      enqueue(scheduler, ['a'], 0, 40);
      enqueue(scheduler, ['b'], 0, FAR);
      expect(told(scheduler.tick(0))).toEqual([]);
      expect(told(scheduler.tick(40))).toEqual(['!a:model_loading']);
      scheduler.setTarget({ id: 't', model: 'm', slots: 1, state: 'ready' }, 41);
      expect(told(scheduler.tick(41))).toEqual(['b']);
    });

    it('is refused at once when every target is down', () => {
      const scheduler = started(EAGER, 1);
      scheduler.setTarget({ id: 't', model: 'm', slots: 1, state: 'down' }, 0);
      enqueue(scheduler, ['a', 'b']);
      expect(told(scheduler.tick(0)).sort()).toEqual(['!a:no_backend_available', '!b:no_backend_available']);
    });

    it('goes to a probing target first, one request at a time', () => {
      const scheduler = started({}, 4);
      scheduler.setTarget({ id: 'p', model: 'm', slots: 4, state: 'probing' }, 0);
      for (const id of ['a', 'b', 'c']) scheduler.enqueue(entry(id), 0);
      scheduler.tick(0);
      expect(scheduler.usedOf({ id: 'p', model: 'm' }).slots).toBe(1);
      scheduler.release('a', settled(), 1);
      scheduler.enqueue(entry('d'), 1);
      scheduler.tick(1);
      expect(scheduler.usedOf({ id: 'p', model: 'm' }).slots).toBe(1);
      scheduler.setTarget({ id: 'p', model: 'm', slots: 4, state: 'ready' }, 2);
      for (const id of ['e', 'f', 'g']) scheduler.enqueue(entry(id), 2);
      scheduler.tick(2);
      expect(scheduler.usedOf({ id: 'p', model: 'm' }).slots).toBeGreaterThan(1);
    });

    it('waits for a probing target whose trial runs, where there is no other', () => {
      const scheduler = started({}, 2);
      scheduler.setTarget({ id: 't', model: 'm', slots: 2, state: 'probing' }, 0);
      scheduler.enqueue(entry('a'), 0);
      scheduler.enqueue(entry('b'), 0);
      expect(told(scheduler.tick(0))).toEqual(['a']);
      scheduler.release('a', settled(), 1);
      expect(told(scheduler.tick(1))).toEqual(['b']);
    });

    it('goes to the target that is up while another is down or draining', () => {
      const scheduler = started(EAGER, 1);
      scheduler.setTarget({ id: 't', model: 'm', slots: 1, state: 'draining' }, 0);
      scheduler.setTarget({ id: 'u', model: 'm', slots: 1, state: 'ready' }, 0);
      enqueue(scheduler, ['a']);
      expect(scheduler.tick(0)).toMatchObject([
        { type: 'dispatch', batch: { members: [{ id: 'a', target: 'u' }] } },
      ]);
    });
  });

  describe('a cancelled entry', () => {
    it('leaves the queue and never reaches a backend', () => {
      const scheduler = started(EAGER, 1);
      enqueue(scheduler, ['a', 'b', 'c']);
      scheduler.tick(0);
      scheduler.cancel('b', 1);
      scheduler.release('a', settled(), 2);
      expect(told(scheduler.tick(2))).toEqual(['c']);
    });

    it('that is running keeps its slot until it is released', () => {
      const scheduler = started(EAGER, 1);
      enqueue(scheduler, ['a', 'b']);
      scheduler.tick(0);
      scheduler.cancel('a', 1);
      expect(told(scheduler.tick(1))).toEqual([]);
      scheduler.release('a', settled({ outcome: 'cancelled' }), 2);
      expect(told(scheduler.tick(2))).toEqual(['b']);
    });
  });

  it('Retry-After grows with the queue and the recent service time', () => {
    const scheduler = started({ ...EAGER, maxQueue: 4 }, 1);
    enqueue(scheduler, ['a']);
    scheduler.tick(0);
    scheduler.release('a', settled(), 10_000);
    enqueue(scheduler, ['b', 'c', 'd', 'e', 'f', 'g'], 10_000);
    const rejected = scheduler.tick(10_000).filter(({ type }) => type === 'reject');
    expect(rejected).toMatchObject([{ id: 'g', code: 'queue_full', retryAfterSeconds: 55 }]);
  });
});

describe('requests without an answer', () => {
  /** Requests that have no answer, as embeddings, beside those that have one. */

  const UNBOUND = { maxTokens: undefined };
  const WITHOUT_ANSWER = { maxTokens: 0 };

  it('a request without an answer is charged for its prompt alone', () => {
    const scheduler = started();
    scheduler.enqueue(entry('a', { ...WITHOUT_ANSWER, promptTokens: 20 }), 0);
    scheduler.tick(0);
    expect(scheduler.usedOf({ model: 'm', id: 't' }).tokens).toBe(20);
  });

  it('requests without answers teach nothing of how long answers are', () => {
    const chargedAfter = (embeddings: number) => {
      const scheduler = started();
      for (let index = 0; index < 20 + embeddings; index += 1) {
        const embeds = index >= 20;
        scheduler.enqueue(entry(`e${index}`, embeds ? WITHOUT_ANSWER : UNBOUND), 0);
        scheduler.tick(0);
        scheduler.release(`e${index}`, settled({ answerTokens: embeds ? 0 : 100 }), 10);
      }
      scheduler.enqueue(entry('last', UNBOUND), 20);
      scheduler.tick(20);
      return scheduler.usedOf({ model: 'm', id: 't' }).tokens;
    };
    expect(chargedAfter(200)).toBe(chargedAfter(0));
  });
});
