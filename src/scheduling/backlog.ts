/**
 * Everything that waits for one model. Invariant: a waiting entry is either collecting (in no closed batch yet) or eligible (it only
 * needs a slot), counts for its client's share of the queue, and has its node among the wake times.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { EntryId, SchedulerOptions } from './decision.ts';
import type { Flow } from './fair-share.ts';
import { Heap } from './heap.ts';
import type { WorkAhead } from './latency-estimator.ts';
import type { BatchPolicy } from './policies.ts';
import { QueueShares } from './queue-shares.ts';
import type { QueuedRequest } from './queued-request.ts';
import { ServiceOrder } from './service-order.ts';
import { WorkSum } from './work.ts';

export class Backlog {
  readonly eligible: ServiceOrder;
  readonly shares: QueueShares<QueuedRequest>;
  readonly work = new WorkSum();
  readonly #options: SchedulerOptions;
  readonly #entries = new Map<EntryId, QueuedRequest>();
  /** In the order of arrival. */
  readonly #collecting = new Set<QueuedRequest>();
  readonly #wakes = new Heap<QueuedRequest>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.eligible = new ServiceOrder(options);
    this.shares = new QueueShares<QueuedRequest>(options);
  }

  get size(): number {
    return this.#entries.size;
  }

  get nextStartBy(): Milliseconds | undefined {
    return this.#wakes.first?.startBy;
  }

  get(id: EntryId): QueuedRequest | undefined {
    return this.#entries.get(id);
  }

  has({ entry }: QueuedRequest): boolean {
    return this.#entries.has(entry.id);
  }

  /** Any one of them; undefined when nothing waits. */
  get any(): QueuedRequest | undefined {
    return this.shares.displaced;
  }

  add(waiting: QueuedRequest): void {
    this.#entries.set(waiting.entry.id, waiting);
    this.#collecting.add(waiting);
    this.shares.add(waiting);
    this.#wakes.put(waiting.wake, waiting.startBy, waiting.arrival);
    this.work.add(waiting);
  }

  remove(waiting: QueuedRequest): void {
    if (!this.#collecting.delete(waiting)) this.eligible.remove(waiting);
    this.#forget(waiting);
  }

  /** Takes it out for a slot. Returns the flow that was charged. */
  grant(waiting: QueuedRequest, now: Milliseconds): Flow<QueuedRequest> | undefined {
    this.#forget(waiting);
    return this.eligible.grant(waiting, now);
  }

  /** Takes the requests out of the wake times whose last moment to start has come. */
  takeDue(now: Milliseconds): QueuedRequest[] {
    const due: QueuedRequest[] = [];
    for (let first = this.#wakes.first; first && first.startBy <= now; first = this.#wakes.first) {
      this.#wakes.remove(first.wake);
      due.push(first);
    }
    return due;
  }

  isCollecting(waiting: QueuedRequest): boolean {
    return this.#collecting.has(waiting);
  }

  /** Closes batches by the policy. Returns the requests that became eligible, and when to look again. */
  closeBatches(
    policy: BatchPolicy,
    now: Milliseconds,
  ): { readonly closed: readonly QueuedRequest[]; readonly wakeAt: Milliseconds | undefined } {
    const closed: QueuedRequest[] = [];
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

  /** The next few, in the order in which they would be served now: of those that still collect, the first to arrive. */
  inOrder(count: number, now: Milliseconds): readonly QueuedRequest[] {
    const order = [...this.eligible.inOrder(count, now)];
    for (const waiting of this.#collecting) {
      if (order.length >= count) break;
      order.push(waiting);
    }
    return order;
  }

  /** The work that goes before a request at the moment. */
  ahead(waiting: QueuedRequest): WorkAhead {
    if (!this.#collecting.has(waiting)) return this.eligible.ahead(waiting);
    const work = this.eligible.work;
    for (const earlier of this.#collecting) {
      if (earlier === waiting) break;
      work.add(earlier);
    }
    return { work, canBeOvertaken: false };
  }

  #forget(waiting: QueuedRequest): void {
    this.#entries.delete(waiting.entry.id);
    this.shares.remove(waiting);
    this.#wakes.remove(waiting.wake);
    this.work.add(waiting, -1);
  }
}
