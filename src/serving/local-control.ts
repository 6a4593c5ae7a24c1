/** The control of what this process alone serves: its scheduler, the monitors of its targets, and those that a reload has taken out. */
import type { Clock } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import type { ModelId } from '../core/generation.ts';
import type { Log } from '../core/log.ts';
import type { SchedulerOptions } from '../scheduling/decision.ts';
import type { AnswerBound } from '../scheduling/latency-estimator.ts';
import { Scheduler } from '../scheduling/scheduler.ts';
import { Dispatcher } from './dispatcher.ts';
import { LeavingTargets } from './leaving-targets.ts';
import { schedulerTarget } from './scheduler-target.ts';
import type { ModelLoad, ServingControl } from './serving-control.ts';
import { SharedSlots, type SlotDivider } from './shared-slots.ts';
import { TargetMonitors } from './target-monitors.ts';
import { slotCountOf, type Target, type Targets } from './targets.ts';

export interface ControlOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Read with every decision: a reload replaces its fields. */
  readonly scheduler: SchedulerOptions;
  readonly targets: Targets;
  /** Of a model, also of a removed one for which requests wait. */
  readonly targetsOf: (model: ModelId) => readonly Target[];
  readonly onFatal: (target: Target, error: ServingError) => void;
  readonly onTargetChange: () => void;
  /** It gets nothing new any more, as a reload has taken it out. */
  readonly onTargetRemoved?: (target: Target) => void;
  /** Absent: no other server uses the slots of its targets. */
  readonly divideSlots?: ((shared: SharedSlots) => SlotDivider) | undefined;
}

export class LocalControl implements ServingControl {
  readonly #scheduler: Scheduler;
  readonly #dispatcher: Dispatcher;
  readonly #monitors: TargetMonitors;
  readonly #leaving: LeavingTargets;
  #targets: Targets;
  readonly onAttemptEnded: ServingControl['onAttemptEnded'];

  constructor({ targets, ...options }: ControlOptions) {
    const { clock, log } = options;
    // Without them the server would not have started.
    const first: ReadonlySet<Target> = new Set(targets.all);
    const scheduler = new Scheduler(options.scheduler);
    const dispatcher = new Dispatcher({ scheduler, clock });
    this.#scheduler = scheduler;
    this.#dispatcher = dispatcher;
    const onRemoved = options.onTargetRemoved ?? (() => {});
    this.#leaving = new LeavingTargets({ clock, log, dispatcher, scheduler, onRemoved });
    this.#targets = targets;
    this.#monitors = new TargetMonitors({
      ...options,
      dispatcher,
      isNeeded: (target) => target.embedded && first.has(target),
    });
    this.onAttemptEnded = this.#monitors.attemptEnded;
    for (const target of targets.all) this.#monitors.add(target);
    const { divideSlots } = options;
    if (divideSlots === undefined) return;
    const shared = new SharedSlots({
      scheduler,
      dispatcher,
      targets: () => [...this.#targets.all, ...this.#leaving.ofModels],
      left: () => this.#leaving.left,
    });
    dispatcher.share(shared, divideSlots(shared));
  }

  get slotQueue(): Dispatcher {
    return this.#dispatcher;
  }

  start(): void {
    this.#monitors.start();
  }

  apply(before: Targets, after: Targets): void {
    this.#targets = after;
    const drained = new Set(before.all.flatMap(({ id, health }) => (health === 'draining' ? id : [])));
    const going = before.all.filter((target) => !after.all.includes(target));
    for (const model of after.models) this.#leaving.modelReturned(model);
    for (const model of before.models) {
      const ofModel = going
        .filter((target) => target.model === model)
        .map((target) => this.#monitors.take(target));
      if (after.of(model).length === 0) this.#leaving.addModel(model, ofModel);
      else for (const each of ofModel) this.#leaving.add(each);
    }
    for (const target of after.all) {
      if (this.#monitors.has(target)) {
        this.#dispatcher.setTarget(schedulerTarget(target));
        continue;
      }
      const monitor = this.#monitors.add(target);
      if (drained.has(target.id)) monitor.drain();
      monitor.start();
    }
    for (const model of after.models) this.#monitors.keepOneInService(model);
  }

  leavingOf(model: ModelId): readonly Target[] {
    return this.#leaving.of(model);
  }

  /** It has got the one request whose end decides whether it works. */
  isOnTrial(target: Target): boolean {
    return this.#scheduler.isOnTrial(target);
  }

  setDrained(target: Target, isDrained: boolean): void {
    this.#monitors.setDrained(target, isDrained);
  }

  readonly onAnswered: ServingControl['onAnswered'] = (request) => this.#monitors.answered(request);

  readonly onRequestFailed: ServingControl['onRequestFailed'] = (request, targetsAsked) =>
    this.#monitors.failed(request, targetsAsked);

  reservedAnswerTokens(model: ModelId, bound: AnswerBound): number {
    return this.#scheduler.reservedAnswerTokens(model, bound);
  }

  loadOf(model: ModelId): Omit<ModelLoad, 'model'> {
    const { requests, sizeBytes } = this.#scheduler.waiting(model);
    return { waiting: requests, waitingBytes: sizeBytes, running: this.#scheduler.running(model) };
  }

  usedOf(target: Target): { readonly slots: number; readonly tokens: number } {
    return this.#scheduler.usedOf(target);
  }

  slotsOf(target: Target): number {
    return this.#scheduler.slotsOf(target) ?? slotCountOf(target);
  }

  ejectionsOf(target: Target): ReadonlyMap<FailureCause, number> {
    return this.#monitors.ejectionsOf(target);
  }

  async close(): Promise<void> {
    this.#monitors.stop();
    this.#dispatcher.close();
    await this.#leaving.close();
  }
}
