import { describe, expect, it } from 'vitest';
import type { SchedulerTarget } from '../../../src/scheduling/decision.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, SCHEDULER, settled } from '../../support/scheduling.ts';

const TARGET: SchedulerTarget = { id: 't', model: 'm', slots: 3, state: 'ready', isShared: true };

function waiting(count: number): Scheduler {
  const scheduler = new Scheduler({ ...SCHEDULER, maxQueue: 100, maxBatchSize: 100 });
  scheduler.setTarget(TARGET, 0);
  for (let each = 0; each < count; each += 1) scheduler.enqueue(entry(`e${each}`), 0);
  return scheduler;
}

const granted = (scheduler: Scheduler, now: number) =>
  scheduler
    .tick(now)
    .reduce((sum, each) => sum + (each.type === 'dispatch' ? each.batch.members.length : 0), 0);

describe('the slots of a shared target', () => {
  it('are given as far as they are leased, never more than it has', () => {
    const scheduler = waiting(9);
    expect(granted(scheduler, 0)).toBe(0);
    scheduler.setLease(TARGET, { slots: 2, until: 1000 }, 1);
    expect(granted(scheduler, 1)).toBe(2);
    scheduler.setLease(TARGET, { slots: 50, until: 1000 }, 2);
    expect(granted(scheduler, 2)).toBe(1);
  });

  it('are given no more once the lease has ended, without being told; what runs goes on', () => {
    const scheduler = waiting(9);
    scheduler.setLease(TARGET, { slots: 2, until: 1000 }, 1);
    expect(granted(scheduler, 1)).toBe(2);
    scheduler.release('e0', settled(), 1500);
    expect(granted(scheduler, 1500)).toBe(0);
    expect(scheduler.usedOf(TARGET).slots).toBe(1);
    scheduler.setLease(TARGET, { slots: 2, until: 3000 }, 1600);
    expect(granted(scheduler, 1600)).toBe(1);
  });

  it('stay leased when the target changes, and are all its own when it is shared no more', () => {
    const scheduler = waiting(9);
    scheduler.setLease(TARGET, { slots: 1, until: 1000 }, 1);
    scheduler.setTarget({ ...TARGET, degraded: true }, 2);
    expect(granted(scheduler, 2)).toBe(1);
    scheduler.setTarget({ ...TARGET, isShared: false }, 3);
    expect(granted(scheduler, 3)).toBe(2);
  });

  it('make nobody wait in vain while there are none: requests wait, and are not refused for it', () => {
    const scheduler = waiting(2);
    expect(scheduler.tick(0)).toEqual([]);
    expect(scheduler.waiting('m').requests).toBe(2);
  });

  it('bound an adaptive target too, which goes on finding its own number', () => {
    const scheduler = waiting(9);
    scheduler.setTarget({ ...TARGET, slots: 8, adaptive: true }, 0);
    scheduler.setLease(TARGET, { slots: 1, until: 1000 }, 1);
    expect(granted(scheduler, 1)).toBe(1);
    scheduler.release('e0', settled(), 500);
    expect(granted(scheduler, 1000)).toBe(0);
  });
});
