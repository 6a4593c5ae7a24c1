import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { QueueEntry } from '../../../src/scheduling/decision.ts';
import { ORDER_POLICIES, type OrderMode } from '../../../src/scheduling/policies.ts';
import { runs } from '../../support/property-runs.ts';
import { advanceStep, anyStep, enqueueStep, releaseStep, World } from '../../support/scheduler-world.ts';

const BOUNDS = { maxQueue: 5, maxQueuePerClient: 3, maxQueueBytes: 1000 };
const ORDERS = Object.keys(ORDER_POLICIES) as OrderMode[];

describe.each(ORDERS.flatMap((order) => (['eager', 'window'] as const).map((mode) => ({ order, mode }))))(
  'the scheduler, $order and $mode',
  (policies) => {
    it('drops nobody, grants and answers nobody twice, and never exceeds or leaks a slot', () => {
      fc.assert(
        fc.property(fc.array(anyStep, { maxLength: 120 }), (steps) => {
          const world = new World({ ...policies, ...BOUNDS });
          for (const next of steps) {
            world.apply(next);
            world.tick();
          }
          for (const index of [0, 1]) world.apply({ kind: 'target', index, slots: 2, state: 'ready' });
          world.drain();
          for (const id of ['t0', 't1'])
            expect(world.scheduler.usedOf({ id, model: 'm' })).toEqual({ slots: 0, tokens: 0 });
          expect(world.answered.size).toBe(steps.filter(({ kind }) => kind === 'enqueue').length);
        }),
        runs(150),
      );
    });
  },
);

it('in eager mode nobody waits while a slot is free', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 80 }), (steps) => {
      const world = new World(BOUNDS);
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
    fc.property(fc.array(anyStep, { maxLength: 80 }), (steps) => {
      const world = new World({ ...BOUNDS, mode: 'window' });
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

it('what runs on a target stays within its tokens, but for a request that runs alone', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 80 }), (steps) => {
      const world = new World({ maxQueue: 100, maxTokensInFlight: 300 }, 4);
      for (const next of steps.filter(({ kind }) => kind !== 'target')) {
        world.apply(next);
        world.tick();
        for (const id of ['t0', 't1']) {
          const { slots, tokens } = world.scheduler.usedOf({ id, model: 'm' });
          expect(slots <= 1 || tokens <= 300, `${slots} requests with ${tokens} tokens`).toBe(true);
        }
        expect(world.waiting.size === 0 || world.running.size > 0, 'nobody is admitted').toBe(true);
      }
    }),
    runs(200),
  );
});

/** More comes than goes, so that many wait at the same time. */
const crowd = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: enqueueStep },
    { weight: 3, arbitrary: releaseStep },
    { weight: 1, arbitrary: advanceStep.filter((step) => step.kind === 'advance' && step.ms >= 0) },
  ),
  { minLength: 40, maxLength: 150 },
);

it('those of one client with one priority and deadline are granted in the order in which they came', () => {
  fc.assert(
    fc.property(crowd, (steps) => {
      const world = new World({ maxQueue: 1000, maxOvertakes: 0 });
      let grantsInTurn = 0;
      const lastOf = new Map<string, number>();
      world.onGrant = ({ entry, arrival }) => {
        const kind = `${entry.client} ${entry.priority} ${entry.expiresAt}`;
        expect(arrival).toBeGreaterThan(lastOf.get(kind) ?? 0);
        grantsInTurn += lastOf.has(kind) ? 1 : 0;
        lastOf.set(kind, arrival);
      };
      for (const next of steps) {
        // Deadlines from a small set, so that many are equal.
        if (next.kind === 'enqueue')
          world.enqueue({ ...next.changes, expiresAt: next.patienceMs % 2 ? 100_000 : 200_000 });
        else world.apply(next);
        world.tick();
      }
      fc.pre(grantsInTurn > 0);
    }),
    runs(200),
  );
});

it('of one client and priority the earliest deadline is granted first', () => {
  fc.assert(
    fc.property(crowd, (steps) => {
      const world = new World({ maxQueue: 1000, maxOvertakes: 0 }, 1);
      let others = 0;
      world.onGrant = ({ entry }) => {
        for (const { entry: other } of world.waiting.values()) {
          if (other.client !== entry.client || other.priority !== entry.priority) continue;
          expect(other.expiresAt).toBeGreaterThanOrEqual(entry.expiresAt);
          others += 1;
        }
      };
      for (const next of steps) {
        world.apply(next.kind === 'enqueue' ? { ...next, patienceMs: 10_000 + next.patienceMs } : next);
        world.tick();
      }
      fc.pre(others > 0);
    }),
    runs(200),
  );
});

it('a lower priority is granted only when no higher one waits, or when it was passed over for the ageing time', () => {
  const agingMs = 50;
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 20, maxLength: 200 }), (steps) => {
      const world = new World({ maxQueue: 100, agingMs });
      const passedOverSince = new Map<string, number>();
      const rank = { high: 0, normal: 1, low: 2 };
      world.onGrant = ({ entry }) => {
        const waits = (priority: string) =>
          [...world.waiting.values()].some(({ entry: other }) => other.priority === priority);
        const sinceOf = (priority: string) => passedOverSince.get(priority) ?? Number.POSITIVE_INFINITY;
        for (const priority of ['high', 'normal', 'low'] as const) {
          if (priority === entry.priority || !waits(priority)) continue;
          const isOverdue = world.now - sinceOf(entry.priority) >= agingMs;
          // Whoever is overdue longer goes first, whatever its class.
          if (rank[priority] < rank[entry.priority])
            expect(isOverdue, `${entry.priority} before ${priority}`).toBe(true);
          else
            expect(
              world.now - sinceOf(priority) < agingMs ||
                (isOverdue && sinceOf(entry.priority) <= sinceOf(priority)),
              `${priority} was passed over for too long`,
            ).toBe(true);
        }
        for (const priority of ['high', 'normal', 'low'] as const) {
          if (priority === entry.priority || !waits(priority)) passedOverSince.delete(priority);
          else if (rank[priority] > rank[entry.priority] && !passedOverSince.has(priority))
            passedOverSince.set(priority, world.now);
        }
      };
      const forgetEmpty = () => {
        for (const priority of ['high', 'normal', 'low'])
          if (![...world.waiting.values()].some(({ entry }) => entry.priority === priority))
            passedOverSince.delete(priority);
      };
      // While no target is ready nobody is passed over, and who came meanwhile was not.
      const counted = steps.filter(({ kind }) => kind !== 'target');
      for (const next of counted.filter((step) => step.kind !== 'advance' || step.ms >= 0)) {
        world.apply(next.kind === 'enqueue' ? { ...next, patienceMs: 1_000_000 } : next);
        forgetEmpty();
        world.tick();
        // The tick may have refused the last of a class.
        forgetEmpty();
      }
    }),
    runs(300),
  );
});

/**
 * The bound that users may rely on: a quantum (there is none beyond a request), twice the largest request, and the most
 * that was in flight and not settled: its refunds come after others were granted something for it. Where overtaking is
 * allowed, each of the two largest requests counts once more for each time that one may be overtaken.
 */
it.each([0, 1, 4])(
  'two clients that both wait never get ahead of each other by more than the bound, in tokens; max_overtakes %i',
  (maxOvertakes) => {
    const step = fc.oneof(
      { weight: 6, arbitrary: enqueueStep },
      { weight: 5, arbitrary: releaseStep },
      { weight: 1, arbitrary: advanceStep },
    );
    // The one asks for more than it uses, the other uses more than it asks for.
    const habits: Readonly<Record<string, number>> = { a: 0.1, b: 1.2 };
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 100, maxLength: 400 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 40 }),
        (steps, slots, size) => {
          const world = new World({ maxQueue: 10_000, maxOvertakes }, slots);
          const comparison = new Comparison(world);
          for (const next of steps) {
            const isArrival = next.kind === 'enqueue';
            if (isArrival) world.enqueue({ ...next.changes, ...oneClass(next.changes, size) });
            else if (next.kind === 'release') world.apply({ ...next, usedShareOf: habits });
            else world.apply(next);
            comparison.check();
            world.tick();
            comparison.check();
          }
        },
      ),
      runs(150),
    );
  },
);

/** One priority class, deadlines that play no part, answers whose bound is known, and now and then one that is `size` times as large. */
function oneClass({ maxTokens = 1, promptTokens = 1 }: Partial<QueueEntry>, size: number) {
  const large = promptTokens % 5 === 0 ? size : 1;
  return { priority: 'normal', maxTokensIsDefault: false, maxTokens: maxTokens * large } as const;
}

/** What a and b got since both began to wait. */
class Comparison {
  readonly #world: World;
  /** Tokens really used, of requests granted since then that have ended. */
  readonly #used = new Map<string, number>();
  /** Requests granted since then that run, with what they were charged. */
  readonly #charged = new Map<string, { readonly client: string; readonly tokens: number }>();
  #mostUnsettled = 0;
  #largest = 0;

  constructor(world: World) {
    this.#world = world;
    world.onGrant = ({ entry }) => this.#grant(entry);
    world.onRelease = ({ entry }, { promptTokens, answerTokens }) => {
      this.#largest = Math.max(this.#largest, promptTokens + answerTokens);
      if (!this.#charged.delete(entry.id)) return;
      this.#used.set(entry.client, (this.#used.get(entry.client) ?? 0) + promptTokens + answerTokens);
    };
    this.#restart();
  }

  /** Begins anew when one of them has nothing waiting. */
  check(): void {
    this.#mostUnsettled = Math.max(this.#mostUnsettled, this.#unsettled());
    if (!this.#waits('a') || !this.#waits('b')) this.#restart();
  }

  #grant({ id, client, promptTokens, maxTokens = 0 }: QueueEntry): void {
    const tokens = promptTokens + maxTokens;
    this.#largest = Math.max(this.#largest, tokens);
    const other = client === 'a' ? 'b' : 'a';
    if (client === 'c' || !this.#waits(other)) return;
    this.#charged.set(id, { client, tokens });
    const ahead = this.#account(client) - this.#account(other);
    const { maxOvertakes } = this.#world.options;
    const bound = 2 * (1 + maxOvertakes) * this.#largest + this.#mostUnsettled;
    expect(ahead, `${client} is ahead of ${other}`).toBeLessThanOrEqual(bound);
  }

  #account(client: string): number {
    let tokens = this.#used.get(client) ?? 0;
    for (const charged of this.#charged.values()) if (charged.client === client) tokens += charged.tokens;
    return tokens;
  }

  #waits(client: string): boolean {
    return [...this.#world.waiting.values()].some(({ entry }) => entry.client === client);
  }

  #restart(): void {
    this.#used.clear();
    this.#charged.clear();
  }

  #unsettled(): number {
    return [...this.#world.running.values()].reduce(
      (sum, { entry: { promptTokens, maxTokens = 0 } }) => sum + promptTokens + maxTokens,
      0,
    );
  }
}
