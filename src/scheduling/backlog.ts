/**
 * All that waits for one model. Invariant: an entry that waits is either collecting (no batch has been closed over it) or
 * eligible (only slots are missing), takes up its client's share of the queue, and has its place among the wake times.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { BatchPolicy } from './batch-policy.ts';
import type { EntryId, SchedulerOptions } from './decision.ts';
import type { Flow } from './fair-share.ts';
import { Heap } from './heap.ts';
import { QueueShares } from './queue-shares.ts';
import { ServiceOrder } from './service-order.ts';
import type { Ahead } from './wait-predictor.ts';
import type { Waiting } from './waiting.ts';
import { WorkSum } from './work.ts';

export class Backlog {
  readonly eligible: ServiceOrder;
  readonly shares: QueueShares<Waiting>;
  readonly work = new WorkSum();
  readonly #options: SchedulerOptions;
  readonly #entries = new Map<EntryId, Waiting>();
  /** In the order of arrival. */
  readonly #collecting = new Set<Waiting>();
  readonly #wakes = new Heap<Waiting>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.eligible = new ServiceOrder(options);
    this.shares = new QueueShares<Waiting>(options);
  }

  get size(): number {
    return this.#entries.size;
  }

  get nextStartBy(): Milliseconds | undefined {
    return this.#wakes.first?.startBy;
  }

  get(id: EntryId): Waiting | undefined {
    return this.#entries.get(id);
  }

  has({ entry }: Waiting): boolean {
    return this.#entries.has(entry.id);
  }

  /** Any one of them; undefined when nobody waits. */
  get any(): Waiting | undefined {
    return this.shares.displaced;
  }

  add(waiting: Waiting): void {
    this.#entries.set(waiting.entry.id, waiting);
    this.#collecting.add(waiting);
    this.shares.add(waiting);
    this.#wakes.put(waiting.wake, waiting.startBy, waiting.arrival);
    this.work.add(waiting);
  }

  remove(waiting: Waiting): void {
    if (!this.#collecting.delete(waiting)) this.eligible.remove(waiting);
    this.#forget(waiting);
  }

  /** The flow that was charged for it. */
  grant(waiting: Waiting, now: Milliseconds): Flow<Waiting> | undefined {
    this.#forget(waiting);
    return this.eligible.grant(waiting, now);
  }

  /** Takes those out of the wake times whose last moment to be started has come. */
  takeDue(now: Milliseconds): Waiting[] {
    const due: Waiting[] = [];
    for (let first = this.#wakes.first; first && first.startBy <= now; first = this.#wakes.first) {
      this.#wakes.remove(first.wake);
      due.push(first);
    }
    return due;
  }

  isCollecting(waiting: Waiting): boolean {
    return this.#collecting.has(waiting);
  }

  /** Closes batches as the policy says; tells who became eligible, and when to look again. */
  closeBatches(
    policy: BatchPolicy,
    now: Milliseconds,
  ): { readonly closed: readonly Waiting[]; readonly wakeAt: Milliseconds | undefined } {
    const closed: Waiting[] = [];
    const oldestFirst = this.#collecting.values();
    for (let oldest = oldestFirst.next().value; oldest; ) {
      const verdict = policy({
        now,
        collecting: this.#collecting.size,
        oldestAt: oldest.enqueuedAt,
        maxBatchSize: this.#options.maxBatchSize,
        windowMs: this.#options.windowMs,
      });
      if ('wakeAt' in verdict) return { closed, wakeAt: verdict.wakeAt };
      for (let count = 0; count < verdict.close && oldest; count += 1) {
        this.#collecting.delete(oldest);
        this.eligible.add(oldest);
        closed.push(oldest);
        oldest = oldestFirst.next().value;
      }
    }
    return { closed, wakeAt: undefined };
  }

  /** What goes before an entry, as things stand. */
  ahead(waiting: Waiting): Ahead {
    if (!this.#collecting.has(waiting)) return this.eligible.ahead(waiting);
    const work = this.eligible.work;
    for (const earlier of this.#collecting) {
      if (earlier === waiting) break;
      work.add(earlier);
    }
    return { work, canBeOvertaken: false };
  }

  #forget(waiting: Waiting): void {
    this.#entries.delete(waiting.entry.id);
    this.shares.remove(waiting);
    this.#wakes.remove(waiting.wake);
    this.work.add(waiting, -1);
  }
}
