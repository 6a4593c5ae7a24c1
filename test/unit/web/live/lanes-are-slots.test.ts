/**
 * A lane is a slot: whatever is scheduled, tried again, resized or lost on the way, the picture has no lane that was not a slot, and no
 * two requests in one lane at one time.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LiveReceipt } from '../../../../src/core/live-snapshot.ts';
import { SlotNumbers } from '../../../../src/scheduling/slot-numbers.ts';
import { Bars } from '../../../../web/live/bars.ts';
import { barsIn, lanesIn } from '../../../../web/live/layout.ts';
import { attempt, receipt, running, snapshotAt, waiting } from '../../../support/live-snapshots.ts';

/** By so much two snapshots differ about one moment: the wall clock has whole milliseconds. */
const JITTER_MS = 1;
const STEP_MS = 20;
const SNAPSHOT_MS = 240;
const END_MS = 6_000;

interface Try {
  readonly id: string;
  readonly target: Target;
  readonly slot: number;
  readonly enqueuedAt: number;
  readonly startedAt: number;
  readonly endsAt: number;
  readonly fails: boolean;
}

interface Request {
  readonly arrivesAt: number;
  /** Milliseconds of each try; all but the last fail. */
  readonly tries: readonly number[];
  readonly ended: Try[];
}

interface Target {
  readonly name: string;
  readonly numbers: SlotNumbers;
  slots: number;
  /** The most that it had until now, by the time of the change. */
  readonly history: { readonly at: number; readonly slots: number }[];
}

const anyRequest = fc.record({
  arrivesAt: fc.integer({ min: 0, max: END_MS - 1_000 }),
  tries: fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 3 }),
});
const anyChange = fc.record({
  at: fc.integer({ min: 0, max: END_MS }),
  target: fc.nat({ max: 1 }),
  slots: fc.integer({ min: 1, max: 6 }),
});
/** What becomes of each snapshot, one after the other. */
const anyFate = fc.constantFrom('seen', 'seen', 'seen', 'lost', 'interrupted');

it('has no lane more than there were slots, and nothing lies over anything else', () => {
  fc.assert(
    fc.property(
      fc.array(anyRequest, { minLength: 5, maxLength: 50 }),
      fc.array(anyChange, { maxLength: 4 }),
      fc.infiniteStream(anyFate),
      fc.infiniteStream(fc.double({ min: 0, max: JITTER_MS, noNaN: true })),
      (requests, changes, fates, jitters) => {
        const schedule = new Schedule(requests, changes);
        const bars = new Bars();
        for (let now = STEP_MS; now <= END_MS; now += STEP_MS) {
          schedule.advance(now);
          if (now % SNAPSHOT_MS !== 0) continue;
          const snapshot = schedule.snapshot(now, jitters.next().value);
          const fate = fates.next().value;
          if (fate === 'interrupted') bars.interrupted();
          if (fate === 'seen') bars.apply(snapshot);
          check(bars, schedule, now);
        }
      },
    ),
    { numRuns: 150 },
  );
});

function check(bars: Bars, { targets }: Schedule, now: number): void {
  for (const { name, history } of targets) {
    const here = [...bars.all].filter(({ target }) => target === name);
    for (const one of here) {
      const slots = slotsAt(history, one.startedAt ?? 0);
      expect(one.lane, `${one.requestId} at ${name}`).toBeLessThan(slots);
      for (const other of here) {
        if (other === one || other.lane !== one.lane || one.startedAt! > other.startedAt!) continue;
        expect((one.endedAt ?? now) - other.startedAt!).toBeLessThanOrEqual(2 * JITTER_MS);
      }
    }
    const axis = { edge: now, rangeMs: END_MS, width: 1_000 };
    const lanes = lanesIn(barsIn(bars.all, axis), axis).get(name) ?? 0;
    expect(lanes).toBeLessThanOrEqual(Math.max(...history.map(({ slots }) => slots)));
  }
}

/** The most that it had about that time. */
function slotsAt(history: Target['history'], time: number): number {
  const before = history.filter(({ at }) => at <= time - STEP_MS).slice(-1);
  const about = history.filter(({ at }) => Math.abs(at - time) < STEP_MS);
  return Math.max(...[...before, ...about].map(({ slots }) => slots));
}

/** Two targets and one queue; a try that fails goes on in the queue. */
class Schedule {
  readonly targets: readonly Target[] = ['one', 'two'].map((name) => ({
    name,
    numbers: new SlotNumbers(),
    slots: 3,
    history: [{ at: -STEP_MS, slots: 3 }],
  }));
  readonly #requests: readonly Request[];
  readonly #changes: readonly { readonly at: number; readonly target: number; readonly slots: number }[];
  readonly #queue: { readonly request: Request; readonly enqueuedAt: number }[] = [];
  readonly #running = new Map<Try, Request>();
  #ended: { readonly request: Request; readonly at: number }[] = [];
  #now = 0;

  constructor(requests: readonly Omit<Request, 'ended'>[], changes: Schedule['#changes']) {
    this.#requests = requests.map((request) => ({ ...request, ended: [] }));
    this.#changes = changes;
  }

  advance(now: number): void {
    const isNew = (at: number) => at > this.#now && at <= now;
    for (const { at, target, slots } of this.#changes) {
      const of = this.targets[target];
      if (of === undefined || !isNew(at)) continue;
      of.slots = slots;
      of.history.push({ at: now, slots });
    }
    for (const [run, request] of this.#running) {
      if (run.endsAt > now) continue;
      this.#running.delete(run);
      run.target.numbers.giveBack(run.slot);
      request.ended.push(run);
      if (run.fails) this.#queue.unshift({ request, enqueuedAt: run.endsAt });
      else this.#ended.push({ request, at: run.endsAt });
    }
    for (const request of this.#requests)
      if (isNew(request.arrivesAt)) this.#queue.push({ request, enqueuedAt: request.arrivesAt });
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const target = this.targets.find((each) => this.#usedOf(each) < each.slots);
      if (target === undefined) break;
      this.#queue.shift();
      this.#start(next, target, now);
    }
    this.#now = now;
  }

  #start(
    next: { readonly request: Request; readonly enqueuedAt: number },
    target: Target,
    now: number,
  ): void {
    const { request, enqueuedAt } = next;
    const at = request.ended.length;
    const run: Try = {
      id: this.#idOf(request),
      target,
      slot: target.numbers.take(),
      enqueuedAt,
      startedAt: now,
      endsAt: now + (request.tries[at] ?? 1),
      fails: at < request.tries.length - 1,
    };
    this.#running.set(run, request);
  }

  #usedOf(target: Target): number {
    return [...this.#running.keys()].filter((run) => run.target === target).length;
  }

  #idOf(request: Request): string {
    return `${this.#requests.indexOf(request)}/${request.ended.length + 1}`;
  }

  snapshot(now: number, jitter: number) {
    const facts = (request: Request, enqueuedAt: number) => ({
      request_id: `req_${this.#requests.indexOf(request)}`,
      received_at_ms: request.arrivesAt + jitter,
      enqueued_at_ms: enqueuedAt + jitter,
      attempt: request.ended.length + 1,
    });
    const ended = this.#ended.map(({ request, at }): LiveReceipt => {
      const { request_id, received_at_ms } = facts(request, 0);
      const attempts = request.ended.map((run, index) =>
        attempt({
          target: run.target.name,
          slot: run.slot,
          kind: index === 0 ? null : 'elsewhere',
          enqueued_at_ms: run.enqueuedAt + jitter,
          started_at_ms: run.startedAt + jitter,
          ended_at_ms: run.endsAt + jitter,
          outcome: run.fails ? ('cut' as never) : 'completed',
        }),
      );
      return { ...receipt('x', { received_at_ms, ended_at_ms: at + jitter, attempts }), request_id };
    });
    this.#ended = [];
    return snapshotAt(now, {
      ended,
      queue: this.#queue.map(({ request, enqueuedAt }) =>
        waiting(this.#idOf(request), facts(request, enqueuedAt)),
      ),
      running: [...this.#running].map(([run, request]) =>
        running(run.id, {
          ...facts(request, run.enqueuedAt),
          target: run.target.name,
          slot: run.slot,
          started_at_ms: run.startedAt + jitter,
        }),
      ),
    });
  }
}
