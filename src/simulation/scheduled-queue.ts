/** The real scheduler, with simulated time. */
import type { Milliseconds } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';
import type { SchedulerOptions, SchedulerTarget, Settlement, TargetId } from '../scheduling/decision.ts';
import type { PrefixFingerprint } from '../scheduling/prefix-fingerprint.ts';
import { Scheduler } from '../scheduling/scheduler.ts';
import type { Contestant, Job } from './simulate.ts';

/** What the queue is given of a job. */
export interface QueuedJob {
  readonly model: ModelId;
  /** As the queue estimates it. */
  readonly promptTokens: number;
  readonly maxTokens: number | undefined;
  readonly maxTokensIsDefault: boolean;
  readonly sizeBytes: number;
  readonly prefix?: PrefixFingerprint | undefined;
}

interface ScheduledQueueOptions<Kind extends Job> {
  readonly scheduler: SchedulerOptions;
  readonly targets: readonly SchedulerTarget[];
  readonly queueTimeoutMs: Milliseconds;
  readonly queuedOf: (job: Kind) => QueuedJob;
}

export class ScheduledQueue<Kind extends Job> implements Contestant<Kind> {
  readonly #options: ScheduledQueueOptions<Kind>;
  readonly #scheduler: Scheduler;
  readonly #models: ReadonlySet<ModelId>;
  readonly #waiting = new Map<string, Kind>();
  readonly #targetOf = new Map<string, TargetId>();

  constructor(options: ScheduledQueueOptions<Kind>) {
    this.#options = options;
    this.#scheduler = new Scheduler(options.scheduler);
    this.#models = new Set(options.targets.map(({ model }) => model));
    for (const target of options.targets) this.#scheduler.setTarget(target, 0);
    this.#scheduler.tick(0);
  }

  get waiting(): number {
    return this.#sum((model) => this.#scheduler.waiting(model).requests);
  }

  get running(): number {
    return this.#sum((model) => this.#scheduler.running(model));
  }

  /** Of a job that runs. */
  targetOf({ id }: Kind): TargetId {
    const target = this.#targetOf.get(id);
    if (target === undefined) throw new Error(`the job ${id} does not run`);
    return target;
  }

  arrive(job: Kind, now: Milliseconds): void {
    const { id, client, priority, deadlineMs } = job;
    this.#waiting.set(id, job);
    const { queuedOf, queueTimeoutMs } = this.#options;
    const expiresAt = Math.min(now + queueTimeoutMs, deadlineMs);
    this.#scheduler.enqueue(
      { ...queuedOf(job), id, client, priority, expiresAt, deadlineAt: deadlineMs },
      now,
    );
  }

  leave({ id }: Kind, now: Milliseconds): void {
    this.#waiting.delete(id);
    this.#scheduler.cancel(id, now);
  }

  ended({ id }: Kind, settlement: Settlement, now: Milliseconds): void {
    this.#targetOf.delete(id);
    this.#scheduler.release(id, settlement, now);
  }

  decide(now: Milliseconds): {
    readonly started: readonly Kind[];
    readonly rejected: readonly { readonly job: Kind; readonly code: string }[];
  } {
    const started: Kind[] = [];
    const rejected: { readonly job: Kind; readonly code: string }[] = [];
    for (const decision of this.#scheduler.tick(now)) {
      if (decision.type === 'reject') {
        rejected.push({ job: this.#take(decision.id), code: decision.code });
        continue;
      }
      for (const { id, target } of decision.batch.members) {
        this.#targetOf.set(id, target);
        started.push(this.#take(id));
      }
    }
    return { started, rejected };
  }

  nextWakeAt(): Milliseconds | undefined {
    return this.#scheduler.nextWakeAt();
  }

  #take(id: string): Kind {
    const job = this.#waiting.get(id);
    if (job === undefined) throw new Error(`the job ${id} does not wait`);
    this.#waiting.delete(id);
    return job;
  }

  #sum(read: (model: ModelId) => number): number {
    let sum = 0;
    for (const model of this.#models) sum += read(model);
    return sum;
  }
}
