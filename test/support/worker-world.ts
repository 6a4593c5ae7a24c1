/**
 * Workers whose requests wait in one control process, for property tests: random arrivals, ends, departures, targets that come and go, and
 * workers that die, with a model that only counts. It holds every grant against the model as it comes.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { ServingError } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import type { Outcome, QueueEntry } from '../../src/scheduling/decision.ts';
import { type ControlOptions, LocalControl } from '../../src/serving/local-control.ts';
import type { ServingControl } from '../../src/serving/serving-control.ts';
import type { Grant, SlotCaller } from '../../src/serving/slot-queue.ts';
import { type Target, Targets } from '../../src/serving/targets.ts';
import { FakeBackend, fakeTarget } from './fake-backend.ts';
import { FakeClock } from './fake-clock.ts';
import { ControlSide } from './linked-control.ts';
import { SCHEDULER } from './scheduling.ts';

export type WorkerStep =
  | {
      readonly kind: 'enqueue';
      readonly worker: number;
      readonly patienceMs: number;
      readonly reports: boolean;
      readonly changes: Partial<QueueEntry>;
    }
  | {
      readonly kind: 'release';
      readonly pick: number;
      readonly outcome: Outcome;
      readonly answerTokens: number;
    }
  | { readonly kind: 'leave'; readonly pick: number }
  | { readonly kind: 'drain'; readonly target: number; readonly isDrained: boolean }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'die'; readonly worker: number };

const pick = fc.nat({ max: 1000 });
const worker = fc.nat({ max: 2 });

/** `deadly`: workers die too. */
export function workerSteps(deadly: boolean): fc.Arbitrary<readonly WorkerStep[]> {
  const enqueue = fc.record({
    kind: fc.constant('enqueue' as const),
    worker,
    patienceMs: fc.integer({ min: 1, max: 300 }),
    reports: fc.boolean(),
    changes: fc.record({
      client: fc.constantFrom('a', 'b', 'c'),
      priority: fc.constantFrom('high' as const, 'normal' as const, 'low' as const),
      promptTokens: fc.integer({ min: 1, max: 40 }),
      maxTokens: fc.constantFrom(undefined, 1, 40, 400),
      sizeBytes: fc.integer({ min: 0, max: 400 }),
      deadlineAt: fc.constantFrom(30, 1000, Number.POSITIVE_INFINITY),
      retry: fc.constantFrom(
        undefined,
        undefined,
        undefined,
        { avoid: new Set(['t0']), firstQueuedAt: 0 },
        { avoid: new Set<string>(), firstQueuedAt: 7, minContextSize: 10, awaitsTrial: true },
      ),
    }),
  });
  const release = fc.record({
    kind: fc.constant('release' as const),
    pick,
    outcome: fc.constantFrom<Outcome>('completed', 'failed', 'cancelled'),
    answerTokens: fc.nat({ max: 600 }),
  });
  const drain = fc.record({
    kind: fc.constant('drain' as const),
    target: fc.nat({ max: 1 }),
    isDrained: fc.boolean(),
  });
  return fc.array(
    fc.oneof(
      { weight: 7, arbitrary: enqueue },
      { weight: 5, arbitrary: release },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), pick }) },
      { weight: 1, arbitrary: drain },
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.nat({ max: 60 }) }),
      },
      {
        weight: deadly ? 1 : 0,
        arbitrary: fc.record({ kind: fc.constant('die' as const), worker }),
      },
    ),
    { minLength: 20, maxLength: 120 },
  );
}

/** A request of the model. */
class Caller implements SlotCaller {
  readonly id: string;
  readonly control: ServingControl;
  readonly #world: WorkerWorld;
  state: 'waiting' | 'running' | 'over' = 'waiting';
  grant: Grant | undefined;
  startedAt = 0;
  readonly number: number;

  constructor(id: string, control: ServingControl, number: number, world: WorkerWorld) {
    this.id = id;
    this.control = control;
    this.number = number;
    this.#world = world;
  }

  describe(): undefined {
    return undefined;
  }

  granted(grant: Grant): void {
    expect(this.state, `${this.id} is granted a slot`).toBe('waiting');
    this.#world.noteGrant(this, grant);
    this.state = 'running';
    this.grant = grant;
    this.startedAt = this.#world.clock.now();
  }

  rejected(error: ServingError): void {
    expect(this.state, `${this.id} is rejected`).toBe('waiting');
    this.state = 'over';
    this.#world.note(`${this.number} ${error.code} ${error.retryAfterSeconds ?? ''} ${error.message}`);
  }
}

const SLOTS = 2;

export class WorkerWorld {
  readonly clock = new FakeClock();
  /** What callers were told, by the turns that `settle` has ended. */
  readonly log: string[][] = [[]];
  readonly #parts: ControlOptions;
  readonly #releaseWithinMs: number;
  readonly #side: ControlSide | undefined;
  readonly #local: LocalControl | undefined;
  readonly #workers: { control: ServingControl; die: () => void; incarnation: number }[] = [];
  readonly #callers: Caller[] = [];

  /** `shape`: as many workers as a step may name, or one process. */
  constructor(shape: 'workers' | 'one process', releaseWithinMs = 0) {
    this.#releaseWithinMs = releaseWithinMs;
    const targets = [0, 1].map((index) => fakeTarget(new FakeBackend(), { id: `t${index}`, slots: SLOTS }));
    const all = new Targets({ targets, defaultModel: 'm', aliases: new Map() });
    this.#parts = {
      clock: this.clock,
      log: silentLog,
      random: () => 0.5,
      scheduler: { ...SCHEDULER, maxQueue: 6, maxBatchSize: 3 },
      targets: all,
      targetsOf: (model) => all.of(model),
      onFatal: () => {},
      onTargetChange: () => {},
    };
    if (shape === 'one process') {
      this.#local = new LocalControl(this.#parts);
      return;
    }
    this.#side = new ControlSide(this.#parts);
    for (const index of [0, 1, 2]) this.#workers.push(this.#started(index, 1));
  }

  /** Applies the step; what it leads to happens when the turn ends. */
  apply(step: WorkerStep): void {
    switch (step.kind) {
      case 'enqueue':
        this.#enqueue(step);
        break;
      case 'release':
        this.#release(this.#pickOf('running', step.pick), step);
        break;
      case 'leave': {
        const caller = this.#pickOf('waiting', step.pick);
        if (caller === undefined) break;
        caller.state = 'over';
        caller.control.slotQueue.leave(caller.id);
        break;
      }
      case 'drain': {
        const target = this.#targetOf(`t${step.target}`);
        const control = this.#side?.local ?? this.#local;
        control?.setDrained(this.#side?.copyOf(target) ?? target, step.isDrained);
        break;
      }
      case 'advance':
        break;
      case 'die': {
        const dying = this.#workers[step.worker];
        if (dying === undefined) break;
        for (const caller of this.#callers)
          if (caller.control === dying.control && caller.state === 'running') caller.state = 'over';
        dying.die();
        this.#workers[step.worker] = this.#started(step.worker, dying.incarnation + 1);
        break;
      }
      default:
        throw step satisfies never;
    }
  }

  /** Ends the turn. Those of one batch may be told in any order, as they may be of several workers. */
  async settle(): Promise<void> {
    await this.clock.settle();
    this.log.at(-1)?.sort();
    this.log.push([]);
  }

  note(line: string): void {
    this.log.at(-1)?.push(line);
  }

  noteGrant(caller: Caller, { target, slot, batch }: Grant): void {
    const held = this.#callers.filter(({ state, grant }) => state === 'running' && grant?.target === target);
    expect(held.length, `${target} has more requests than slots`).toBeLessThan(SLOTS);
    expect(
      held.map(({ grant }) => grant?.slot),
      'two requests in one slot',
    ).not.toContain(slot);
    this.note(`${caller.number} at ${target}/${slot} in ${batch.id} of ${batch.size}`);
  }

  /** Ends what runs until nothing waits. */
  async drain(): Promise<void> {
    for (const target of [0, 1]) this.apply({ kind: 'drain', target, isDrained: false });
    await this.settle();
    for (let round = 0; this.#callers.some(({ state }) => state !== 'over'); round += 1) {
      if (round > 1000) throw new Error('the queue does not empty');
      for (const caller of this.#callers) {
        if (caller.state !== 'running') continue;
        this.#release(caller, { outcome: 'completed', answerTokens: 1 });
        // What several workers send in one turn may come in another order.
        await this.settle();
      }
      await this.clock.advance(20);
    }
    await this.clock.advance(20);
    await this.settle();
  }

  /** What the scheduler holds, and each worker. */
  held(): readonly unknown[] {
    const control = this.#side?.local ?? this.#local;
    const targets = this.#parts.targets.all.map((target) =>
      control?.usedOf(this.#side?.copyOf(target) ?? target),
    );
    return [control?.loadOf('m'), ...targets, ...this.#workers.map(({ control: each }) => each.loadOf('m'))];
  }

  async close(): Promise<void> {
    this.#side?.host.close();
    for (const { control } of this.#workers) await control.close();
    await (this.#side?.local ?? this.#local)?.close();
  }

  #started(index: number, incarnation: number) {
    const side = this.#side;
    if (side === undefined) throw new Error('there are no workers');
    const { control, break: die } = side.connect(
      `w${index + 1}.${incarnation}`,
      this.#parts,
      this.#releaseWithinMs,
    );
    return { control, die, incarnation };
  }

  #controlOf(index: number): ServingControl {
    const control = this.#local ?? this.#workers[index]?.control;
    if (control === undefined) throw new Error(`there is no worker ${index}`);
    return control;
  }

  #targetOf(id: string | undefined): Target {
    const target = this.#parts.targets.all.find((each) => each.id === id);
    if (target === undefined) throw new Error(`there is no target ${id}`);
    return target;
  }

  #enqueue({ worker: index, patienceMs, reports, changes }: Extract<WorkerStep, { kind: 'enqueue' }>): void {
    const control = this.#controlOf(index);
    const { slotQueue } = control;
    const now = this.clock.now();
    const { deadlineAt: afterMs = 1000, ...rest } = changes;
    const entry: QueueEntry = {
      id: slotQueue.newEntryId(),
      model: 'm',
      client: 'a',
      priority: 'normal',
      promptTokens: 1,
      maxTokens: undefined,
      maxTokensIsDefault: false,
      sizeBytes: 1,
      expiresAt: now + patienceMs,
      ...rest,
      deadlineAt: now + afterMs,
    };
    const caller = new Caller(entry.id, control, this.#callers.length, this);
    this.#callers.push(caller);
    const onPosition = ({ position, etaMs }: { position: number; etaMs: number }) =>
      void this.note(`${caller.number} is number ${position} in ${etaMs}`);
    slotQueue.enter(entry, caller, reports ? { onPosition } : {});
  }

  #release(
    caller: Caller | undefined,
    { outcome, answerTokens }: { readonly outcome: Outcome; readonly answerTokens: number },
  ): void {
    if (caller === undefined) return;
    const { id, control, grant, startedAt } = caller;
    caller.state = 'over';
    grant?.release({ outcome, promptTokens: 3, answerTokens, firstTokenMs: undefined });
    if (outcome === 'cancelled') return;
    const error = outcome === 'failed' ? new ServingError('backend_error', { failure: 'reset' }) : undefined;
    const ended = { request: { requestId: id }, startedAt, isRetry: false };
    control.onAttemptEnded(this.#targetOf(grant?.target), error, ended);
  }

  #pickOf(state: Caller['state'], index: number): Caller | undefined {
    const found = this.#callers.filter((caller) => caller.state === state);
    return found[index % found.length];
  }
}
