import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { SchedulerOptions } from '../../../src/scheduling/decision.ts';
import { FairShare } from '../../../src/scheduling/fair-share.ts';
import { IdlePrefixes, PrefixAffinity } from '../../../src/scheduling/prefix-affinity.ts';
import { QueuedRequest } from '../../../src/scheduling/queued-request.ts';
import { runs } from '../../support/property-runs.ts';
import { anyStep, type Step, type Waits, World } from '../../support/scheduler-world.ts';
import { entry, prefixOf, SCHEDULER } from '../../support/scheduling.ts';

const steps = fc.array(anyStep, { minLength: 20, maxLength: 200 });

function run(world: World, given: readonly Step[]): void {
  for (const next of given) {
    world.apply(next.kind === 'enqueue' ? { ...next, patienceMs: 10_000 + next.patienceMs } : next);
    world.tick();
  }
}

/** Overtaken requests are told by what is granted while they wait, as far as their order is beyond doubt. */
function countOvertakes(world: World, isBefore: (one: Waits, other: Waits) => boolean): () => number {
  const overtaken = new Map<string, number>();
  world.onGrant = (granted) => {
    for (const waits of world.waiting.values()) {
      if (!isBefore(waits, granted)) continue;
      const times = (overtaken.get(waits.entry.id) ?? 0) + 1;
      overtaken.set(waits.entry.id, times);
      expect(times, `${waits.entry.id} was overtaken`).toBeLessThanOrEqual(world.options.maxOvertakes);
    }
  };
  return () => overtaken.size;
}

const ORDERS: readonly {
  readonly order: SchedulerOptions['order'];
  readonly isBefore: (one: Waits, other: Waits) => boolean;
}[] = [
  { order: 'fifo', isBefore: (one, other) => one.arrival < other.arrival },
  {
    order: 'fair',
    isBefore: (one, other) =>
      one.entry.client === other.entry.client &&
      one.entry.priority === other.entry.priority &&
      (one.entry.expiresAt < other.entry.expiresAt ||
        (one.entry.expiresAt === other.entry.expiresAt && one.arrival < other.arrival)),
  },
];

/** What a request is overtaken for: what a slot has cached, or the home of a prompt. */
const CACHES = ['slots', 'targets'] as const;

it.each(
  ORDERS.flatMap((of) =>
    [1, 3].flatMap((maxOvertakes) => CACHES.map((cache) => ({ ...of, maxOvertakes, cache }))),
  ),
)(
  'nobody is overtaken more than $maxOvertakes times, and everybody ends; $order, $cache cache',
  ({ order, isBefore, maxOvertakes, cache }) => {
    let overtaken = 0;
    fc.assert(
      fc.property(steps, (given) => {
        const bounds = { order, maxOvertakes, maxQueue: 1000, agingMs: 100_000 };
        const routing = { ...SCHEDULER.routing, prefixAffinity: cache === 'targets' };
        const world = new World({ ...bounds, routing }, 1, cache === 'slots');
        const count = countOvertakes(world, isBefore);
        run(
          world,
          given.filter((step) => step.kind !== 'advance' || step.ms >= 0),
        );
        for (const index of [0, 1]) world.apply({ kind: 'target', index, slots: 1, state: 'ready' });
        world.drain();
        overtaken += count();
        expect(world.answered.size).toBe(given.filter(({ kind }) => kind === 'enqueue').length);
      }),
      runs(150),
    );
    // Among the requests of one client and class, which are all that can be told of in order fair, it is rare.
    if (order === 'fifo') expect(overtaken).toBeGreaterThan(0);
  },
);

it('where no prompt continues another the order is the one without overtaking', () => {
  fc.assert(
    fc.property(steps, fc.constantFrom('fair', 'fifo'), (given, order) => {
      const grantsOf = (prefixes: 'none' | 'any', maxOvertakes: number) => {
        const world = new World({ order, maxOvertakes, maxQueue: 20 });
        run(
          world,
          given.map((step) =>
            step.kind === 'enqueue' && prefixes === 'none'
              ? { ...step, changes: { ...step.changes, prefix: undefined } }
              : step,
          ),
        );
        return world.grants.map(({ entry: { id }, target }) => `${id} at ${target}`);
      };
      const plain = grantsOf('none', 0);
      expect(grantsOf('none', 4)).toEqual(plain);
      expect(grantsOf('any', 0)).toEqual(plain);
    }),
    runs(100),
  );
});

it('nobody is overtaken by other clients more often than that, nor by one too far ahead', () => {
  const maxOvertakes = 2;
  const joining = fc.record({
    client: fc.constantFrom('a', 'b', 'c', 'd'),
    tokens: fc.integer({ min: 1, max: 30 }),
    conversation: fc.constantFrom('one', 'other'),
    turns: fc.integer({ min: 1, max: 4 }),
  });
  let overtakes = 0;
  fc.assert(
    fc.property(fc.array(fc.array(joining, { maxLength: 5 }), { maxLength: 40 }), (turns) => {
      const share = new FairShare<QueuedRequest>();
      const overtaking = new PrefixAffinity({ maxOvertakes });
      const overtaken = new Map<QueuedRequest, number>();
      const idle = new IdlePrefixes();
      idle.fit(1);
      let arrivals = 0;
      for (const joined of turns) {
        for (const { client, tokens, conversation, turns: length } of joined)
          share.add(waiting(++arrivals, { client, tokens, prefix: prefixOf(conversation, length) }));
        const first = share.next;
        if (!first) continue;
        const order = share.upcoming(1000);
        const upcoming = (count: number) => share.upcoming(count);
        const slot = { idle, upcoming, fits: () => true, longestMs: () => 0, now: 0 };
        const chosen = overtaking.choose(first, slot);
        for (const passed of order.slice(0, order.indexOf(chosen))) {
          overtaken.set(passed, (overtaken.get(passed) ?? 0) + 1);
          overtakes += 1;
          expect(overtaken.get(passed)).toBeLessThanOrEqual(maxOvertakes);
        }
        const aheadTokens = (chosen.flow?.account ?? 0) - (first.flow?.account ?? 0);
        expect(aheadTokens).toBeLessThanOrEqual(maxOvertakes * chosen.chargedTokens);
        share.grant(chosen);
        idle.take(chosen.prefix);
        idle.giveBack(chosen.prefix);
      }
    }),
    runs(300),
  );
  expect(overtakes).toBeGreaterThan(0);
});

function waiting(
  arrival: number,
  { client, tokens, prefix }: { client: string; tokens: number; prefix: ReturnType<typeof prefixOf> },
): QueuedRequest {
  return new QueuedRequest({
    entry: entry(`e${arrival}`, { client, promptTokens: 0, prefix }),
    rank: { priority: 'normal', flow: client, dueAt: 0 },
    enqueuedAt: 0,
    arrival,
    answerTokens: tokens,
    chargedTokens: tokens,
    startBy: 1,
  });
}
