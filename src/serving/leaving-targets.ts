/**
 * Targets that a reload has taken out of the configuration, until they are closed. A target of a model that goes on gets nothing new,
 * and is closed when the last request that runs there has ended. A model that was removed is not found by name any more, but what waits
 * for it is still served: its targets leave when its queue is empty. Nothing is cut: every request ends by its own deadline.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';
import type { Log } from '../core/log.ts';
import type { Scheduler } from '../scheduling/scheduler.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { TargetMonitor } from './target-monitor.ts';
import type { Target } from './targets.ts';

const LOOK_EVERY_MS: Milliseconds = 100;

interface LeavingOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly dispatcher: Pick<Dispatcher, 'removeTarget'>;
  readonly scheduler: Pick<Scheduler, 'waiting' | 'forgetUnused'>;
  readonly onRemoved: (target: Target) => void;
}

export interface MonitoredTarget {
  readonly target: Target;
  readonly monitor: TargetMonitor;
}

interface Leaving {
  readonly target: Target;
  /** Requests that run there. */
  readonly slots: { readonly used: number };
}

export class LeavingTargets {
  readonly #options: LeavingOptions;
  readonly #models = new Map<ModelId, readonly MonitoredTarget[]>();
  #targets: Leaving[] = [];
  #timer: Timer | undefined;

  constructor(options: LeavingOptions) {
    this.#options = options;
  }

  /** Of a removed model whose queue is not empty yet. */
  of(model: ModelId): readonly Target[] {
    return this.#models.get(model)?.map(({ target }) => target) ?? [];
  }

  /** Of removed models: they may still get what waits. */
  get ofModels(): readonly Target[] {
    return [...this.#models.values()].flat().map(({ target }) => target);
  }

  /** Those that get nothing new, while requests run there. */
  get left(): readonly { readonly target: Target; readonly used: number }[] {
    return this.#targets.map(({ target, slots }) => ({ target, used: slots.used }));
  }

  /** From now on it gets nothing new. */
  add({ target, monitor }: MonitoredTarget): void {
    monitor.stop();
    this.#targets.push({ target, slots: this.#options.dispatcher.removeTarget(target) });
    this.#options.onRemoved(target);
    this.#lookSoon();
  }

  /** All targets of a removed model. */
  addModel(model: ModelId, targets: readonly MonitoredTarget[]): void {
    this.#models.set(model, targets);
    this.#lookSoon();
  }

  /** The model is configured again: what waits for it goes to its new targets. */
  modelReturned(model: ModelId): void {
    const targets = this.#models.get(model) ?? [];
    this.#models.delete(model);
    for (const each of targets) this.add(each);
  }

  /** Ends everything. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    const backends = this.#targets.map(({ target }) => target.backend);
    for (const targets of this.#models.values())
      for (const { target, monitor } of targets) {
        monitor.stop();
        backends.push(target.backend);
      }
    await Promise.allSettled(backends.map((backend) => backend.close()));
  }

  #lookSoon(): void {
    this.#timer ??= this.#options.clock.schedule(LOOK_EVERY_MS, () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  #look(): void {
    const { scheduler } = this.#options;
    for (const [model, targets] of this.#models) {
      if (scheduler.waiting(model).requests > 0) continue;
      this.#models.delete(model);
      for (const each of targets) this.add(each);
    }
    const isFree = ({ slots }: Leaving) => slots.used === 0;
    for (const { target } of this.#targets.filter(isFree)) this.#close(target);
    this.#targets = this.#targets.filter((leaving) => !isFree(leaving));
    scheduler.forgetUnused();
    if (this.#targets.length > 0 || this.#models.size > 0) this.#lookSoon();
  }

  #close(target: Target): void {
    const { log } = this.#options;
    const fields = { model: target.model, target: target.id };
    log.info('target was removed and is closed: its last request has ended', fields);
    target.backend.close().catch((error: unknown) => log.warn(`closing the target failed: ${error}`, fields));
  }
}
