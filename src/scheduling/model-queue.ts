/**
 * The queue and the targets of one model. Pure: time comes in, decisions go out.
 * Invariants: an entry is in exactly one of collecting, eligible, running, gone; a target's `used` is the number
 * of its running entries and never grows beyond its slots.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { QueuePlace } from '../core/receipt.ts';
import { BATCH_POLICIES, type BatchPolicy } from './batch-policy.ts';
import type {
  BatchMember,
  Decision,
  EntryId,
  Outcome,
  QueueEntry,
  SchedulerOptions,
  SchedulerTarget,
  TargetId,
} from './decision.ts';
import { ExpiryHeap } from './expiry-heap.ts';
import { LinkedList, type ListNode } from './linked-list.ts';
import { ServiceTime } from './service-time.ts';
import { type SelectableTarget, selectTarget } from './target-selection.ts';

interface Waiting extends ListNode<Waiting> {
  readonly id: EntryId;
  readonly enqueuedAt: Milliseconds;
  readonly expiresAt: Milliseconds;
  heapIndex: number;
}

interface Target extends SelectableTarget {
  readonly id: TargetId;
  state: SchedulerTarget['state'];
  slots: number;
  used: number;
}

interface Running {
  readonly target: Target;
  readonly dispatchedAt: Milliseconds;
}

/** Retry-After where no queue can tell: how long a load or a recovery usually takes. */
const RETRY_WHEN_NOT_SERVING_SECONDS = 5;

export class ModelQueue {
  readonly #model: ModelId;
  readonly #options: SchedulerOptions;
  readonly #policy: BatchPolicy;
  readonly #nextBatchId: () => string;
  readonly #entries = new Map<EntryId, Waiting>();
  readonly #collecting = new LinkedList<Waiting>();
  readonly #eligible = new LinkedList<Waiting>();
  readonly #expiry = new ExpiryHeap<Waiting>();
  readonly #targets = new Map<TargetId, Target>();
  readonly #running = new Map<EntryId, Running>();
  readonly #serviceTime = new ServiceTime();
  #windowClosesAt: Milliseconds | undefined;

  constructor(model: ModelId, options: SchedulerOptions, nextBatchId: () => string) {
    this.#model = model;
    this.#options = options;
    this.#policy = BATCH_POLICIES[options.mode];
    this.#nextBatchId = nextBatchId;
  }

  get waiting(): number {
    return this.#entries.size;
  }

  get running(): number {
    return this.#running.size;
  }

  slotsUsed(target: TargetId): number {
    return this.#targets.get(target)?.used ?? 0;
  }

  setTarget({ id, slots, state }: SchedulerTarget): void {
    const target = this.#targets.get(id);
    if (target) Object.assign(target, { slots, state });
    else this.#targets.set(id, { id, slots, state, used: 0 });
  }

  enqueue(entry: QueueEntry, now: Milliseconds): void {
    const waiting: Waiting = {
      id: entry.id,
      enqueuedAt: now,
      expiresAt: entry.expiresAt,
      heapIndex: -1,
      previous: undefined,
      next: undefined,
      list: undefined,
    };
    this.#entries.set(entry.id, waiting);
    this.#collecting.append(waiting);
    this.#expiry.add(waiting);
  }

  /** Takes an entry out of the queue; false for a running one, which its caller releases. */
  cancel(id: EntryId): boolean {
    const waiting = this.#entries.get(id);
    if (waiting) this.#remove(waiting);
    return waiting !== undefined;
  }

  /** Where a waiting entry stands; undefined once it has left. Walks the queue up to it. */
  place(id: EntryId): QueuePlace | undefined {
    const waiting = this.#entries.get(id);
    if (!waiting) return undefined;
    let position = waiting.list === this.#collecting ? this.#eligible.length : 0;
    for (let at: Waiting | undefined = waiting; at; at = at.previous) position += 1;
    const etaMs = Math.round(this.#serviceTime.waitMs({ waiting: position, slots: this.#usableSlots() }));
    return { position, etaMs };
  }

  /** Gives the entry's slot back. A second release of the same entry does nothing. */
  release(id: EntryId, outcome: Outcome, now: Milliseconds): void {
    const running = this.#running.get(id);
    if (!running) return;
    this.#running.delete(id);
    running.target.used -= 1;
    if (outcome === 'completed') this.#serviceTime.record(now - running.dispatchedAt);
  }

  /**
   * 1. what expired is rejected; 2. without a usable target everybody is rejected, or waits for one that is loading;
   * 3. batches close; 4. closed members leave while slots are free; 5. what then exceeds the bound is rejected, newest first.
   */
  tick(now: Milliseconds, decisions: Decision[]): void {
    this.#rejectExpired(now, decisions);
    if (this.#serves()) {
      this.#closeBatches(now);
      this.#dispatch(now, decisions);
    } else if (!this.#hasTarget('loading')) {
      while (this.#newest()) this.#reject(this.#newest(), 'no_backend_available', decisions);
    } else {
      this.#windowClosesAt = undefined;
    }
    while (this.waiting > this.#options.maxQueue) this.#reject(this.#newest(), 'queue_full', decisions);
  }

  nextWakeAt(): Milliseconds | undefined {
    const expiresAt = this.#expiry.earliest?.expiresAt;
    if (this.#windowClosesAt === undefined) return expiresAt;
    return expiresAt === undefined ? this.#windowClosesAt : Math.min(expiresAt, this.#windowClosesAt);
  }

  #rejectExpired(now: Milliseconds, decisions: Decision[]): void {
    for (let first = this.#expiry.earliest; first && first.expiresAt <= now; first = this.#expiry.earliest) {
      this.#reject(first, this.#serves() ? 'queue_timeout' : this.#whyNotServing(), decisions);
    }
  }

  #closeBatches(now: Milliseconds): void {
    this.#windowClosesAt = undefined;
    for (let oldest = this.#collecting.head; oldest; oldest = this.#collecting.head) {
      const verdict = this.#policy({
        now,
        collecting: this.#collecting.length,
        oldestAt: oldest.enqueuedAt,
        maxBatchSize: this.#options.maxBatchSize,
        windowMs: this.#options.windowMs,
      });
      if ('wakeAt' in verdict) {
        this.#windowClosesAt = verdict.wakeAt;
        return;
      }
      for (let count = 0; count < verdict.close; count += 1) {
        const closed = this.#collecting.takeHead();
        if (closed) this.#eligible.append(closed);
      }
    }
  }

  #dispatch(now: Milliseconds, decisions: Decision[]): void {
    for (;;) {
      const members: BatchMember[] = [];
      while (members.length < this.#options.maxBatchSize && this.#eligible.head) {
        const target = selectTarget(this.#targets.values());
        if (!target) break;
        const { id } = this.#eligible.head;
        this.#remove(this.#eligible.head);
        target.used += 1;
        this.#running.set(id, { target, dispatchedAt: now });
        members.push({ id, target: target.id });
      }
      if (members.length === 0) return;
      decisions.push({ type: 'dispatch', batch: { id: this.#nextBatchId(), model: this.#model, members } });
    }
  }

  #reject(waiting: Waiting | undefined, code: ErrorCode, decisions: Decision[]): void {
    if (!waiting) return;
    const retryAfterSeconds = this.#serves()
      ? this.#serviceTime.retryAfterSeconds({ waiting: this.waiting, slots: this.#usableSlots() })
      : RETRY_WHEN_NOT_SERVING_SECONDS;
    this.#remove(waiting);
    decisions.push({ type: 'reject', id: waiting.id, code, retryAfterSeconds });
  }

  #remove(waiting: Waiting): void {
    waiting.list?.remove(waiting);
    this.#expiry.remove(waiting);
    this.#entries.delete(waiting.id);
  }

  #newest(): Waiting | undefined {
    return this.#collecting.tail ?? this.#eligible.tail;
  }

  #serves(): boolean {
    return this.#hasTarget('ready');
  }

  #whyNotServing(): ErrorCode {
    return this.#hasTarget('loading') ? 'model_loading' : 'no_backend_available';
  }

  #hasTarget(state: SchedulerTarget['state']): boolean {
    for (const target of this.#targets.values()) if (target.state === state) return true;
    return false;
  }

  #usableSlots(): number {
    let slots = 0;
    for (const target of this.#targets.values()) if (target.state === 'ready') slots += target.slots;
    return slots;
  }
}
