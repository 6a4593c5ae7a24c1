import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatchMode } from '../../../src/scheduling/batch-policy.ts';
import type { SchedulerTarget } from '../../../src/scheduling/decision.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { runs } from '../../support/property-runs.ts';

/**
 * Random arrivals, releases, cancellations, target changes and time steps against a model that only counts:
 * whatever happens, nobody is dropped, granted twice or answered twice, and slots are never exceeded nor leaked.
 */
type Step =
  | { readonly kind: 'enqueue'; readonly patienceMs: number }
  | { readonly kind: 'release' | 'cancel'; readonly pick: number }
  | {
      readonly kind: 'target';
      readonly index: number;
      readonly slots: number;
      readonly state: SchedulerTarget['state'];
    }
  | { readonly kind: 'advance'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('enqueue' as const),
      patienceMs: fc.integer({ min: 1, max: 60 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'cancel' as const), pick: fc.nat() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('target' as const),
      index: fc.nat({ max: 1 }),
      slots: fc.integer({ min: 1, max: 4 }),
      state: fc.constantFrom<SchedulerTarget['state']>(
        'ready',
        'ready',
        'ready',
        'loading',
        'down',
        'draining',
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: -3, max: 30 }) }),
  },
);

class World {
  readonly maxBatchSize = 3;
  readonly maxQueue = 5;
  readonly scheduler: Scheduler;
  readonly waiting = new Map<string, { expiresAt: number; enqueuedAt: number }>();
  readonly running = new Map<string, string>();
  readonly answered = new Set<string>();
  readonly slots = new Map<string, number>();
  now = 0;
  #ids = 0;

  constructor(mode: BatchMode) {
    this.scheduler = new Scheduler({
      mode,
      maxBatchSize: this.maxBatchSize,
      windowMs: 5,
      maxQueue: this.maxQueue,
    });
    for (const index of [0, 1]) this.apply({ kind: 'target', index, slots: 2, state: 'ready' });
  }

  apply(step: Step): void {
    switch (step.kind) {
      case 'enqueue': {
        const id = `e${++this.#ids}`;
        const expiresAt = this.now + step.patienceMs;
        this.waiting.set(id, { expiresAt, enqueuedAt: this.now });
        this.scheduler.enqueue({ id, model: 'm', expiresAt }, this.now);
        break;
      }
      case 'release': {
        const id = pickFrom(this.running, step.pick);
        if (id === undefined) break;
        this.running.delete(id);
        this.scheduler.release(id, 'completed', this.now);
        break;
      }
      case 'cancel': {
        const id = pickFrom(this.waiting, step.pick);
        if (id === undefined) break;
        this.waiting.delete(id);
        this.scheduler.cancel(id, this.now);
        break;
      }
      case 'target':
        this.slots.set(`t${step.index}`, step.slots);
        this.scheduler.setTarget(
          { id: `t${step.index}`, model: 'm', slots: step.slots, state: step.state },
          this.now,
        );
        break;
      case 'advance':
        this.now += step.ms;
        break;
      default:
        throw step satisfies never;
    }
  }

  tick(): void {
    const usedBefore = new Map([...this.slots.keys()].map((id) => [id, this.usedOf(id)]));
    for (const decision of this.scheduler.tick(this.now)) {
      if (decision.type === 'reject') {
        this.#answer(decision.id);
        expect(decision.retryAfterSeconds).toBeGreaterThanOrEqual(1);
        continue;
      }
      expect(decision.batch.members.length).toBeLessThanOrEqual(this.maxBatchSize);
      for (const { id, target } of decision.batch.members) {
        expect(this.waiting.get(id)?.expiresAt, `${id} was expired`).toBeGreaterThan(this.now);
        this.#answer(id);
        this.running.set(id, target);
      }
    }
    for (const [id, slots] of this.slots) {
      expect(this.usedOf(id)).toBeLessThanOrEqual(Math.max(slots, usedBefore.get(id) ?? 0));
      expect(this.scheduler.slotsUsed({ id, model: 'm' })).toBe(this.usedOf(id));
    }
    expect(this.scheduler.waiting('m')).toBe(this.waiting.size);
    expect(this.scheduler.running('m')).toBe(this.running.size);
    expect(this.waiting.size).toBeLessThanOrEqual(this.maxQueue);
  }

  usedOf(target: string): number {
    return [...this.running.values()].filter((held) => held === target).length;
  }

  #answer(id: string): void {
    expect(this.waiting.has(id), `${id} was answered but does not wait`).toBe(true);
    expect(this.answered.has(id), `${id} was answered twice`).toBe(false);
    this.waiting.delete(id);
    this.answered.add(id);
  }
}

function pickFrom(entries: ReadonlyMap<string, unknown>, pick: number): string | undefined {
  return entries.size === 0 ? undefined : [...entries.keys()][pick % entries.size];
}

describe.each(['eager', 'window'] as const)('the scheduler in %s mode', (mode) => {
  it('drops nobody, grants and answers nobody twice, and never exceeds or leaks a slot', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const world = new World(mode);
        for (const next of steps) {
          world.apply(next);
          world.tick();
        }
        while (world.waiting.size + world.running.size > 0) {
          for (const id of [...world.running.keys()]) {
            world.running.delete(id);
            world.scheduler.release(id, 'completed', world.now);
          }
          world.now += 10;
          world.tick();
          if (world.now > 1_000_000) throw new Error('the queue does not empty');
        }
        expect(
          world.scheduler.slotsUsed({ id: 't0', model: 'm' }) +
            world.scheduler.slotsUsed({ id: 't1', model: 'm' }),
        ).toBe(0);
      }),
      runs(300),
    );
  });
});

it('in eager mode nobody waits while a slot is free', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const world = new World('eager');
      for (const next of steps.filter(({ kind }) => kind !== 'target')) {
        world.apply(next);
        world.tick();
        expect(world.waiting.size === 0 || world.running.size === 4).toBe(true);
      }
    }),
    runs(200),
  );
});

it('in window mode nobody waits for collection longer than the window', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const world = new World('window');
      for (const next of steps.filter(
        (candidate) => candidate.kind !== 'target' && !(candidate.kind === 'advance' && candidate.ms < 0),
      )) {
        world.apply(next);
        world.tick();
        const overdue = [...world.waiting.values()].filter(({ enqueuedAt }) => world.now - enqueuedAt >= 5);
        expect(overdue.length === 0 || world.running.size === 4).toBe(true);
      }
    }),
    runs(200),
  );
});
