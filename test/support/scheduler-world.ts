/**
 * A world around the scheduler for property tests: random arrivals, ends, cancellations, target changes and time steps
 * against a model that only counts. It holds every decision against the invariants as it comes; whoever uses it may look
 * at each grant before the model is changed by it.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { PRIORITIES } from '../../src/core/priority.ts';
import type {
  Outcome,
  QueueEntry,
  SchedulerOptions,
  SchedulerTarget,
  Settlement,
} from '../../src/scheduling/decision.ts';
import { Scheduler } from '../../src/scheduling/scheduler.ts';
import { entry, prefixOf, SCHEDULER } from './scheduling.ts';

export type Step =
  | { readonly kind: 'enqueue'; readonly changes: Partial<QueueEntry>; readonly patienceMs: number }
  | {
      readonly kind: 'release';
      readonly pick: number;
      readonly outcome: Outcome;
      /** Of what was asked for, the part that was really used. */
      readonly usedShare: number;
      /** Instead, by client. */
      readonly usedShareOf?: Readonly<Record<string, number>>;
    }
  | { readonly kind: 'cancel'; readonly pick: number }
  | {
      readonly kind: 'target';
      readonly index: number;
      readonly slots: number;
      readonly state: SchedulerTarget['state'];
    }
  | { readonly kind: 'advance'; readonly ms: number };

/** Turns of two conversations, and one that has nothing in common with them. */
const PREFIXES = [
  ...['one', 'other'].flatMap((conversation) => [1, 2, 3].map((turns) => prefixOf(conversation, turns))),
  prefixOf('fourth', 1),
];

export const enqueueStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('enqueue' as const),
  patienceMs: fc.integer({ min: 1, max: 300 }),
  changes: fc.record({
    client: fc.constantFrom('a', 'b', 'c'),
    priority: fc.constantFrom(...PRIORITIES),
    promptTokens: fc.integer({ min: 1, max: 40 }),
    maxTokens: fc.integer({ min: 1, max: 400 }),
    maxTokensIsDefault: fc.boolean(),
    sizeBytes: fc.integer({ min: 0, max: 400 }),
    prefix: fc.constantFrom(undefined, ...PREFIXES),
  }),
});

export const releaseStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('release' as const),
  pick: fc.nat(),
  outcome: fc.constantFrom<Outcome>('completed', 'completed', 'failed', 'cancelled'),
  // Beyond 1: the answer was longer than estimated.
  usedShare: fc.double({ min: 0, max: 1.5, noNaN: true }),
});

const cancelStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('cancel' as const),
  pick: fc.nat(),
});

const targetStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('target' as const),
  index: fc.nat({ max: 1 }),
  slots: fc.integer({ min: 1, max: 4 }),
  state: fc.constantFrom<SchedulerTarget['state']>(
    'ready',
    'ready',
    'ready',
    'loading',
    'probing',
    'down',
    'draining',
  ),
});

/** Small steps back too: a clock may jump. */
export const advanceStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('advance' as const),
  ms: fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: -20, max: 60 }) },
    { weight: 1, arbitrary: fc.integer({ min: -3_600_000, max: -1000 }) },
  ),
});

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: enqueueStep },
  { weight: 4, arbitrary: releaseStep },
  { weight: 2, arbitrary: cancelStep },
  { weight: 1, arbitrary: targetStep },
  { weight: 4, arbitrary: advanceStep },
);

export interface Waits {
  readonly entry: QueueEntry;
  readonly enqueuedAt: number;
  readonly arrival: number;
}

export interface Runs extends Waits {
  readonly target: string;
  readonly slot: number;
}

export class World {
  readonly options: SchedulerOptions;
  readonly scheduler: Scheduler;
  readonly waiting = new Map<string, Waits>();
  readonly running = new Map<string, Runs>();
  readonly answered = new Map<string, string>();
  readonly slots = new Map<string, number>();
  /** Targets that are probing, with the request that each has got since. */
  readonly trials = new Map<string, string | undefined>();
  now = 0;
  /** Grants in the order in which they came. */
  readonly grants: Runs[] = [];
  onGrant: (granted: Runs) => void = () => {};
  onRelease: (released: Runs, used: Settlement) => void = () => {};
  readonly #cachesPrefixes: boolean;
  #arrivals = 0;
  #latest = 0;

  /** `cachesPrefixes`: the scheduler knows what each slot has cached; otherwise only which target a prompt goes to. */
  constructor(options: Partial<SchedulerOptions> = {}, slots = 2, cachesPrefixes = true) {
    this.#cachesPrefixes = cachesPrefixes;
    this.options = { ...SCHEDULER, maxBatchSize: 3, ...options };
    this.scheduler = new Scheduler(this.options);
    for (const index of [0, 1]) this.apply({ kind: 'target', index, slots, state: 'ready' });
  }

  apply(step: Step): void {
    switch (step.kind) {
      case 'enqueue':
        this.enqueue({
          ...step.changes,
          expiresAt: this.now + step.patienceMs,
          deadlineAt: this.now + step.patienceMs * 2,
        });
        break;
      case 'release':
        this.release(pickFrom(this.running, step.pick), step);
        break;
      case 'cancel': {
        const id = pickFrom(this.waiting, step.pick);
        if (id === undefined) break;
        this.waiting.delete(id);
        this.answered.set(id, 'cancelled');
        this.scheduler.cancel(id, this.now);
        break;
      }
      case 'target':
        this.slots.set(`t${step.index}`, step.slots);
        if (step.state !== 'probing') this.trials.delete(`t${step.index}`);
        else if (!this.trials.has(`t${step.index}`)) this.trials.set(`t${step.index}`, undefined);
        this.scheduler.setTarget(
          {
            id: `t${step.index}`,
            model: 'm',
            slots: step.slots,
            state: step.state,
            cachesPrefixes: this.#cachesPrefixes,
          },
          this.now,
        );
        break;
      case 'advance':
        this.now += step.ms;
        this.#latest = Math.max(this.#latest, this.now);
        break;
      default:
        throw step satisfies never;
    }
  }

  enqueue(changes: Partial<QueueEntry>): Waits {
    this.#arrivals += 1;
    const given = entry(`e${this.#arrivals}`, changes);
    const waits = { entry: given, enqueuedAt: this.now, arrival: this.#arrivals };
    this.waiting.set(given.id, waits);
    this.scheduler.enqueue(given, this.now);
    return waits;
  }

  release(
    id: string | undefined,
    use: Pick<Extract<Step, { kind: 'release' }>, 'outcome' | 'usedShare' | 'usedShareOf'>,
  ): void {
    const running = id === undefined ? undefined : this.running.get(id);
    if (id === undefined || !running) return;
    this.running.delete(id);
    if (this.trials.get(running.target) === id) this.trials.set(running.target, undefined);
    const { client, promptTokens, maxTokens = 0 } = running.entry;
    const answerTokens = Math.round(maxTokens * (use.usedShareOf?.[client] ?? use.usedShare));
    const used = { outcome: use.outcome, promptTokens, answerTokens, firstTokenMs: undefined };
    this.scheduler.release(id, used, this.now);
    this.onRelease(running, used);
  }

  tick(): void {
    const usedBefore = new Map([...this.slots.keys()].map((id) => [id, this.usedOf(id)]));
    for (const decision of this.scheduler.tick(this.now)) {
      if (decision.type === 'reject') {
        this.#answer(decision.id, decision.code);
        expect(decision.retryAfterSeconds).toBeGreaterThanOrEqual(1);
        continue;
      }
      expect(decision.batch.members.length).toBeLessThanOrEqual(this.options.maxBatchSize);
      for (const { id, target, slot } of decision.batch.members) {
        const waits = this.waiting.get(id);
        expect(waits?.entry.expiresAt, `${id} was expired`).toBeGreaterThan(this.now);
        this.#answer(id, 'granted');
        if (this.trials.has(target)) {
          expect(this.trials.get(target), `${target} is probing and has a request`).toBeUndefined();
          this.trials.set(target, id);
        }
        if (!waits) continue;
        expect(slot, `a slot that ${target} does not have`).toBeLessThan(this.slots.get(target) ?? 0);
        expect(this.slotsInUse(target), 'two requests in one slot').not.toContain(slot);
        const granted = { ...waits, target, slot };
        this.onGrant(granted);
        this.running.set(id, granted);
        this.grants.push(granted);
      }
    }
    this.#compareWithModel(usedBefore);
  }

  /** Ends everything that runs until nobody waits. */
  drain(): void {
    for (let round = 0; this.waiting.size + this.running.size > 0; round += 1) {
      if (round > 10_000) throw new Error('the queue does not empty');
      for (const id of [...this.running.keys()]) this.release(id, { outcome: 'completed', usedShare: 1 });
      this.now = Math.max(this.now, this.#latest) + 10;
      this.tick();
    }
  }

  usedOf(target: string): number {
    return [...this.running.values()].filter((held) => held.target === target).length;
  }

  slotsInUse(target: string): readonly number[] {
    return [...this.running.values()].filter((held) => held.target === target).map(({ slot }) => slot);
  }

  #compareWithModel(usedBefore: ReadonlyMap<string, number>): void {
    for (const [id, slots] of this.slots) {
      expect(this.usedOf(id)).toBeLessThanOrEqual(Math.max(slots, usedBefore.get(id) ?? 0));
      expect(this.scheduler.usedOf({ id, model: 'm' }).slots).toBe(this.usedOf(id));
    }
    const waiting = [...this.waiting.values()];
    const bytes = waiting.reduce((sum, { entry: { sizeBytes } }) => sum + sizeBytes, 0);
    expect(this.scheduler.waiting('m')).toEqual({ requests: waiting.length, sizeBytes: bytes });
    expect(this.scheduler.running('m')).toBe(this.running.size);
    expect(waiting.length).toBeLessThanOrEqual(this.options.maxQueue);
    expect(bytes).toBeLessThanOrEqual(this.options.maxQueueBytes);
    for (const client of ['a', 'b', 'c'])
      expect(waiting.filter(({ entry: of }) => of.client === client).length).toBeLessThanOrEqual(
        this.options.maxQueuePerClient,
      );
  }

  #answer(id: string, how: string): void {
    expect(this.waiting.has(id), `${id} was answered but does not wait`).toBe(true);
    expect(this.answered.has(id), `${id} was answered twice`).toBe(false);
    this.waiting.delete(id);
    this.answered.set(id, how);
  }
}

function pickFrom(entries: ReadonlyMap<string, unknown>, pick: number): string | undefined {
  return entries.size === 0 ? undefined : [...entries.keys()][pick % entries.size];
}
