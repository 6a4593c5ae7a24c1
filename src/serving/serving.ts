/**
 * The use cases that the edge calls: generate, embed, which models there are, readiness, drain. Wires them to the scheduler and
 * the targets; owns the targets' monitors and reports their state to the scheduler.
 */
import type { Embeddings, GenerationSink, TargetStatus } from '../core/backend.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { Log } from '../core/log.ts';
import type { SchedulerOptions, SchedulerTarget } from '../scheduling/decision.ts';
import { RetryBudget, type RetryBudgetOptions } from '../scheduling/retry-budget.ts';
import { Scheduler } from '../scheduling/scheduler.ts';
import { Dispatcher } from './dispatcher.ts';
import { Drain } from './drain.ts';
import { type EmbeddingCall, embed } from './embed.ts';
import { fallbackChain, missingAbility } from './fallback-models.ts';
import { ServedGeneration } from './generate.ts';
import type { GenerationCall, GenerationServices } from './generation-attempt.ts';
import { TargetMonitor } from './target-monitor.ts';
import { canServe, slotCountOf, type Target, Targets, type TargetsOptions } from './targets.ts';

interface ServingOptions extends TargetsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Settings that a backend does not support are dropped instead of refused. */
  readonly dropUnsupported: boolean;
  readonly scheduler: SchedulerOptions;
  readonly queueTimeoutMs: Milliseconds;
  readonly retry: RetrySettings;
  /** Model → those that may answer instead. */
  readonly fallbackModels: ReadonlyMap<ModelId, readonly ModelId[]>;
  /** From 0 up to, not including, 1; absent: Math.random. */
  readonly random?: () => number;
  readonly onTokenGap: (model: ModelId, gapMs: Milliseconds) => void;
  /** An embedded model could not be loaded at the start: missing, corrupt, not to be fetched, or no engine for it. */
  readonly onFatal: (target: Target, error: ServingError) => void;
  readonly onTargetChange?: () => void;
}

export interface RetrySettings {
  /** Of one request, the first included. */
  readonly attempts: number;
  readonly budget: RetryBudgetOptions;
}

interface ModelLoad {
  readonly model: ModelId;
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly running: number;
}

export class Serving {
  readonly drain: Drain;
  readonly targets: Targets;
  readonly #options: ServingOptions;
  readonly #scheduler: Scheduler;
  readonly #dispatcher: Dispatcher;
  readonly #services: GenerationServices;
  readonly #monitors = new Map<Target, TargetMonitor>();

  constructor(options: ServingOptions) {
    const { clock } = options;
    const targets = new Targets(options);
    this.#options = options;
    this.targets = targets;
    this.drain = new Drain(clock);
    this.#scheduler = new Scheduler(options.scheduler);
    this.#dispatcher = new Dispatcher({ scheduler: this.#scheduler, clock });
    this.#services = {
      clock,
      dispatcher: this.#dispatcher,
      queueTimeoutMs: options.queueTimeoutMs,
      onTokenGap: options.onTokenGap,
      dropUnsupported: options.dropUnsupported,
      cacheIsolationOf: (model) => targets.cacheIsolationOf(model),
      findTarget: (model, id) => targets.find(model, id),
      isMissing: (model) => targets.isMissing(model),
      onAttemptEnded: this.#onAttemptEnded,
      retries: {
        maxTries: () => options.retry.attempts,
        budget: new RetryBudget(() => options.retry.budget),
        random: options.random ?? Math.random,
        fallbacksOf: (model) => fallbackChain(model, options.fallbackModels),
        whyUnable: (model, needs) => {
          const ability = missingAbility(targets.of(model), needs);
          return ability === undefined ? undefined : `it cannot ${ability}`;
        },
        onFallbackSkipped: ({ reason, ...fields }) =>
          options.log.warn(`a fallback model was skipped: ${reason}`, fields),
      },
    };
    for (const target of targets.all) {
      this.#dispatcher.setTarget(schedulerTarget(target));
      this.#monitors.set(target, this.#monitor(target));
    }
  }

  start(): void {
    for (const monitor of this.#monitors.values()) monitor.start();
  }

  /** Begins to wait in the queue. */
  generate(call: GenerationCall, sink: GenerationSink): ServedGeneration {
    const generation = new ServedGeneration(call, sink, this.#services);
    generation.enqueue();
    return generation;
  }

  embed(call: EmbeddingCall): Promise<Embeddings> {
    return embed(call, this.#services);
  }

  loads(): ModelLoad[] {
    return [...this.targets.models].map((model) => {
      const { requests, sizeBytes } = this.#scheduler.waiting(model);
      const running = this.#scheduler.running(model);
      return { model, waiting: requests, waitingBytes: sizeBytes, running };
    });
  }

  /** Slots that are held at a target, and the estimated tokens of what holds them. */
  usedOf(target: Target): { readonly slots: number; readonly tokens: number } {
    return this.#scheduler.usedOf(target);
  }

  async close(): Promise<void> {
    for (const monitor of this.#monitors.values()) monitor.stop();
    this.#dispatcher.close();
    await Promise.allSettled(this.targets.all.map(({ backend }) => backend.close()));
  }

  readonly #onAttemptEnded = (target: Target, error: ServingError | undefined): void => {
    if (error?.failure === undefined) return;
    const { model, id } = target;
    const fields = {
      model,
      target: id,
      code: error.code,
      failure: error.failure,
      cause: messageOf(error.cause),
    };
    this.#options.log.warn(`request failed at its backend: ${error.message}`, fields);
    this.#monitors.get(target)?.probeSoon();
  };

  #monitor(target: Target): TargetMonitor {
    const { clock, log, onFatal } = this.#options;
    const fields = { model: target.model, target: target.id };
    return new TargetMonitor({
      target,
      clock,
      onChange: (changed, before) => {
        const write = canServe(changed.status) || changed.status.state === 'loading' ? log.info : log.warn;
        const detail = changed.status.detail === undefined ? '' : `: ${changed.status.detail}`;
        if (before.state !== changed.status.state)
          write.call(log, `target is ${changed.status.state}${detail}`, fields);
        if (changed.status.slots !== before.slots) warnOfSlots(changed, log);
        this.#dispatcher.setTarget(schedulerTarget(changed));
        this.#options.onTargetChange?.();
      },
      onWarmUpFailed: (_, error) => {
        // The process ends, and its last message gives the reason.
        if (target.embedded) return onFatal(target, error);
        log.error(`the model could not be loaded: ${error.message}`, {
          ...fields,
          cause: messageOf(error.cause),
        });
      },
    });
  }
}

function schedulerTarget(target: Target): SchedulerTarget {
  const { id, model, role, status, cacheIsolation } = target;
  return {
    id,
    model,
    role,
    contextSize: status.contextSize,
    slots: slotCountOf(target),
    state: schedulerState(status),
    cachesPrefixes: cacheIsolation !== undefined,
  };
}

/** Loading and restarting are worth waiting for in the queue; everything else that cannot serve is not. */
function schedulerState(status: TargetStatus): SchedulerTarget['state'] {
  if (canServe(status)) return 'ready';
  return status.state === 'loading' || status.state === 'unloaded' || status.restarting ? 'loading' : 'down';
}

/** Requests beyond the server's own slots wait there, unseen by the scheduler; slots that it has and we do not use are wasted. */
function warnOfSlots(target: Target, log: Log): void {
  const { model, id, status } = target;
  const slots = slotCountOf(target);
  if (status.slots === undefined || status.slots === slots) return;
  log.warn(
    `slots is ${slots}, but the server runs ${status.slots} requests at the same time: set slots to ${status.slots} or leave it out, or start the server with ${slots}`,
    { model, target: id },
  );
}

function messageOf(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  return cause instanceof Error ? cause.message : String(cause);
}
