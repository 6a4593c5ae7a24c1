/**
 * The monitors of the targets that serving uses: the results of their probes and of the tries of requests become their status and
 * health, and goes to the scheduler and the log. A fault that may be the request's own doing counts once another target has been asked.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import type { ModelId } from '../core/generation.ts';
import type { Log } from '../core/log.ts';
import { mayBeOfRequest, SuspectFaults } from '../scheduling/suspect-faults.ts';
import { isInService, lastResort, type OtherTargets } from '../scheduling/target-health.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { MonitoredTarget } from './leaving-targets.ts';
import { schedulerTarget } from './scheduler-target.ts';
import type { ServingControl, TriedRequest } from './serving-control.ts';
import { logChange, messageOf, warnOfSlots } from './target-log.ts';
import { TargetMonitor } from './target-monitor.ts';
import type { Target } from './targets.ts';

interface TargetMonitorsOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly dispatcher: Dispatcher;
  /** Of a model, also of a removed one for which requests wait. */
  readonly targetsOf: (model: ModelId) => readonly Target[];
  /** Without it the server would not have started: where it cannot be warmed up, the process ends. */
  readonly isNeeded: (target: Target) => boolean;
  readonly onFatal: (target: Target, error: ServingError) => void;
  readonly onTargetChange: () => void;
}

/** One try that failed there. */
interface TargetFault {
  readonly target: Target;
  readonly error: ServingError;
  readonly startedAt: Milliseconds;
}

export class TargetMonitors {
  readonly #options: TargetMonitorsOptions;
  readonly #monitors = new Map<Target, TargetMonitor>();
  readonly #suspects = new SuspectFaults<TargetFault>();

  constructor(options: TargetMonitorsOptions) {
    this.#options = options;
  }

  start(): void {
    for (const monitor of this.#monitors.values()) monitor.start();
  }

  stop(): void {
    for (const monitor of this.#monitors.values()) monitor.stop();
  }

  has(target: Target): boolean {
    return this.#monitors.has(target);
  }

  add(target: Target): TargetMonitor {
    const monitor = this.#monitor(target);
    this.#monitors.set(target, monitor);
    this.#options.dispatcher.setTarget(schedulerTarget(target));
    return monitor;
  }

  /** Its end is no change of a target any more. */
  take(target: Target): MonitoredTarget {
    const monitor = this.#monitors.get(target);
    if (monitor === undefined) throw new Error(`the target ${target.id} has no monitor`);
    this.#monitors.delete(target);
    return { target, monitor };
  }

  /** Takes a target out of service, or back. */
  setDrained(target: Target, isDrained: boolean): void {
    const monitor = this.#monitors.get(target);
    if (isDrained) monitor?.drain();
    else monitor?.enable();
  }

  /** How often it was ejected, by cause. */
  ejectionsOf(target: Target): ReadonlyMap<FailureCause, number> {
    return this.#monitors.get(target)?.ejections ?? new Map();
  }

  readonly attemptEnded: ServingControl['onAttemptEnded'] = (target, error, ended) => {
    const { request, startedAt, isRetry } = ended;
    const monitor = this.#monitors.get(target);
    if (error?.failure !== undefined) {
      const { model, id } = target;
      const { code, failure } = error;
      const { requestId } = request;
      const fields = { model, target: id, code, failure, cause: messageOf(error.cause), requestId };
      this.#options.log.warn(`request failed at its backend: ${error.message}`, fields);
      monitor?.probeSoon();
    }
    if (error?.failure !== undefined && this.#isSuspect(target, error.failure)) {
      this.#suspects.hold(request, { target, error, startedAt });
      return;
    }
    if (error === undefined && isRetry) this.answered(request);
    monitor?.attemptEnded(error, startedAt);
  };

  /** A target has begun to answer the request, after others had failed it: those faults were theirs. */
  answered(request: TriedRequest): void {
    this.#count(this.#suspects.answered(request));
  }

  /** It is not tried again, after so many targets were asked. */
  failed(request: TriedRequest, targetsAsked: number): void {
    this.#count(this.#suspects.failed(request, targetsAsked));
  }

  /** An ejected target returns before its time where no other one of the model can serve. */
  keepOneInService(model: ModelId): void {
    const monitors = this.#options.targetsOf(model).flatMap((target) => this.#monitors.get(target) ?? []);
    const last = lastResort(monitors.map(({ health }) => health));
    if (last !== undefined) monitors.find(({ health }) => health === last)?.returnAsLast();
  }

  /** The fault may be the request's own doing. One at a target on trial decides at once: it has failed others before. */
  #isSuspect(target: Target, cause: FailureCause): boolean {
    return mayBeOfRequest(cause) && target.health !== 'probing' && this.#othersOf(target).all > 0;
  }

  #count(faults: readonly TargetFault[]): void {
    for (const { target, error, startedAt } of faults)
      this.#monitors.get(target)?.attemptEnded(error, startedAt);
  }

  #monitor(target: Target): TargetMonitor {
    const { clock, log, random, dispatcher, isNeeded, onFatal, onTargetChange } = this.#options;
    return new TargetMonitor({
      target,
      clock,
      random,
      others: () => this.#othersOf(target),
      onChange: (changed, before, change) => {
        logChange({ changed, before, change, log });
        if (changed.status.slots !== before.slots) warnOfSlots(changed, log);
        dispatcher.setTarget(schedulerTarget(changed));
        if (change !== undefined) this.keepOneInService(target.model);
        onTargetChange();
      },
      onLoad: (loaded, load) => dispatcher.reportLoad(loaded, load),
      onWarmUpFailed: (_, error) => {
        // The process ends, and its last message gives the reason; a reload ends nothing.
        if (isNeeded(target)) return onFatal(target, error);
        const { model, id } = target;
        const fields = { model, target: id, cause: messageOf(error.cause) };
        log.error(`the model could not be loaded: ${error.message}`, fields);
      },
    });
  }

  #othersOf(target: Target): OtherTargets {
    const targets = this.#options.targetsOf(target.model);
    let inService = 0;
    for (const other of targets) if (other !== target && isInService(other.health)) inService += 1;
    return { inService, all: targets.length - 1 };
  }
}
