/**
 * The queue and the slots of one model. Pure: time comes in, decisions go out.
 * Invariant: an entry is in exactly one of waiting (backlog, or retries), running (slots), gone; it leaves the first by one
 * decision or its cancellation, the second by its release.
 */
import type { LoadReport } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { QueuePosition } from '../core/request-trace.ts';
import { Backlog } from './backlog.ts';
import type {
  Alternative,
  BatchMember,
  Decision,
  EntryId,
  QueueEntry,
  SchedulerOptions,
  SchedulerTarget,
  Settlement,
  SlotLease,
  TargetId,
  TargetNeeds,
} from './decision.ts';
import { type AnswerBound, LatencyEstimator, type ServiceLoad, type WorkAhead } from './latency-estimator.ts';
import { BATCH_POLICIES, type BatchPolicy, closeAll, ORDER_POLICIES, type OrderPolicy } from './policies.ts';
import { PrefixAffinity } from './prefix-affinity.ts';
import { type WaitingView, waitingReason } from './queue-view.ts';
import { QueuedRequest } from './queued-request.ts';
import { RetryList } from './retry-list.ts';
import type { ServerLoad } from './server-load.ts';
import { Slots } from './slots.ts';
import type { Target } from './target.ts';
import { WorkSum } from './work.ts';

/** Retry-After while no target serves: how long a load or a recovery usually takes. */
const NOT_SERVING_RETRY_SECONDS = 5;
const MAX_RETRY_AFTER_SECONDS = 600;

export class ModelQueue {
  readonly #model: ModelId;
  readonly #options: SchedulerOptions;
  readonly #batchPolicy: BatchPolicy;
  readonly #orderPolicy: OrderPolicy;
  readonly #nextBatchId: () => string;
  readonly #backlog: Backlog;
  readonly #retries = new RetryList();
  readonly #slots: Slots;
  readonly #prefixAffinity: PrefixAffinity;
  readonly #estimator = new LatencyEstimator();
  /** The requests that arrived since the last tick. */
  #arrived: QueuedRequest[] = [];
  #arrivals = 0;
  #windowClosesAt: Milliseconds | undefined;

  constructor(
    model: ModelId,
    options: SchedulerOptions,
    {
      nextBatchId,
      serverOf,
    }: { readonly nextBatchId: () => string; readonly serverOf: (target: SchedulerTarget) => ServerLoad },
  ) {
    this.#model = model;
    this.#options = options;
    this.#batchPolicy = BATCH_POLICIES[options.mode];
    this.#orderPolicy = ORDER_POLICIES[options.order];
    this.#nextBatchId = nextBatchId;
    this.#backlog = new Backlog(options);
    this.#slots = new Slots(options, serverOf);
    this.#prefixAffinity = new PrefixAffinity(options);
  }

  get waiting(): number {
    return this.#backlog.size + this.#retries.size;
  }

  get waitingBytes(): number {
    return this.#backlog.shares.sizeBytes + this.#retries.sizeBytes;
  }

  get running(): number {
    return this.#slots.running;
  }

  usedOf(target: TargetId): { readonly slots: number; readonly tokens: number } {
    return this.#slots.usedOf(target);
  }

  slotsOf(target: TargetId): number | undefined {
    return this.#slots.slotsOf(target);
  }

  isOnTrial(target: TargetId): boolean {
    return this.#slots.isOnTrial(target);
  }

  setTarget(target: SchedulerTarget, now: Milliseconds): void {
    this.#slots.setTarget(target, now);
  }

  setLease(target: TargetId, lease: SlotLease, now: Milliseconds): void {
    this.#slots.setLease(target, lease, now);
  }

  reportLoad(target: TargetId, load: LoadReport | undefined, now: Milliseconds): void {
    this.#slots.reportLoad(target, load, now);
  }

  alternative(needs: TargetNeeds): Alternative | undefined {
    return this.#slots.alternative(needs);
  }

  removeTarget(id: TargetId): { readonly used: number } {
    return this.#slots.removeTarget(id);
  }

  /** It has no target, and nothing waits or runs. */
  get isUnused(): boolean {
    return this.waiting === 0 && this.#slots.isUnused;
  }

  reservedAnswerTokens(bound: AnswerBound): number {
    return this.#estimator.reservedAnswerTokens(bound);
  }

  enqueue(entry: QueueEntry, now: Milliseconds): void {
    const { expected, charged } = this.#estimator.answerTokens(entry);
    const waiting = new QueuedRequest({
      entry,
      rank: this.#orderPolicy(entry),
      enqueuedAt: now,
      arrival: ++this.#arrivals,
      answerTokens: expected,
      chargedTokens: entry.promptTokens + charged,
      startBy: entry.retry === undefined ? this.#estimator.startBy(entry, expected, now) : entry.deadlineAt,
    });
    if (entry.retry !== undefined) {
      this.#retries.add(waiting);
      return;
    }
    this.#backlog.add(waiting);
    this.#arrived.push(waiting);
  }

  /** Takes an entry out of the queue; false for a running one, which its caller releases. */
  cancel(id: EntryId): boolean {
    const waiting = this.#backlog.get(id);
    if (waiting) this.#backlog.remove(waiting);
    return waiting !== undefined || this.#retries.remove(id);
  }

  /** The position of a waiting entry; undefined once it has left. */
  position(id: EntryId): QueuePosition | undefined {
    const waiting = this.#backlog.get(id);
    const retries = this.#retries.indexOf(id);
    if (retries !== -1) return { position: retries + 1, etaMs: 0 };
    if (!waiting) return undefined;
    const ahead = this.#backlog.ahead(waiting);
    const position = this.#retries.size + Math.round(ahead.work.requests) + 1;
    return { position, etaMs: Math.round(this.#waitMs(ahead)) };
  }

  /** The first `limit` that wait, in the order in which they would be served now. */
  view(limit: number, now: Milliseconds): readonly WaitingView[] {
    const retries = this.#retries.inOrder().slice(0, limit);
    const queued = this.#backlog.inOrder(limit - retries.length, now);
    const work = new WorkSum();
    const views = retries.map((waiting, index) =>
      this.#viewOf(waiting, { position: index + 1, etaMs: undefined }),
    );
    for (const [index, waiting] of queued.entries()) {
      const etaMs = this.#waitMs({ work, canBeOvertaken: index > 0 && this.#options.order !== 'fifo' });
      views.push(this.#viewOf(waiting, { position: index + 1 + retries.length, etaMs }));
      work.add(waiting);
    }
    return views;
  }

  /** One that waits; undefined once it has left. */
  viewOf(id: EntryId): WaitingView | undefined {
    const place = this.position(id);
    const waiting = this.#backlog.get(id) ?? this.#retries.get(id);
    return place && waiting && this.#viewOf(waiting, place);
  }

  #viewOf(
    waiting: QueuedRequest,
    { position, etaMs }: { readonly position: number; readonly etaMs: Milliseconds | undefined },
  ): WaitingView {
    const { id, model, retry, expiresAt, deadlineAt } = waiting.entry;
    const isKnown = etaMs !== undefined && this.#estimator.isTrusted && this.#serves();
    return {
      id,
      model,
      position,
      reason: waitingReason({
        serves: this.#serves(),
        isLoading: this.#slots.hasTarget('loading'),
        isCollecting: this.#backlog.isCollecting(waiting),
        isNext: position === 1 || retry !== undefined,
        // Without a bound of tokens it is given at the end of this turn.
        hasFreeSlot: Number.isFinite(this.#options.maxTokensInFlight) && this.#slots.hasFreeSlot(retry),
      }),
      etaMs: isKnown ? Math.round(etaMs) : undefined,
      expiresAt: retry === undefined ? expiresAt : deadlineAt,
    };
  }

  /** Releases the entry's slot and settles what it was charged; false, with nothing done, for an entry that holds none. */
  release(id: EntryId, settlement: Settlement, now: Milliseconds): boolean {
    const running = this.#slots.release(id, settlement, now);
    if (!running) return false;
    const { granted, flow, dispatchedAt } = running;
    const { promptTokens, answerTokens, cachedTokens = 0 } = settlement;
    const usedTokens = Math.max(0, promptTokens - cachedTokens) + answerTokens;
    // What failed keeps its charge: it may be tried again, which is not charged, and get all that it asked for.
    const owedTokens =
      settlement.outcome === 'failed' ? Math.max(usedTokens, granted.chargedTokens) : usedTokens;
    if (flow) this.#backlog.eligible.settle(granted, flow, owedTokens);
    this.#estimator.ended(granted, settlement, now - dispatchedAt);
    return true;
  }

  /**
   * 1. expired requests are rejected; 2. requests that are tried again leave while there is room for them; 3. without a target that
   * serves, all wait for one that is loading, or else are rejected; 4. batches close; 5. their members leave while there is room;
   * 6. requests beyond the bounds are rejected, 7. then new ones whose predicted wait is too long, and 8. those that could no longer be
   * finished in time.
   */
  tick(now: Milliseconds, decisions: Decision[]): void {
    this.#slots.endLeases(now);
    const due = this.#backlog.takeDue(now);
    for (const waiting of due) if (waiting.entry.expiresAt <= now) this.#rejectLate(waiting, decisions);
    this.#dispatchRetries(now, decisions);
    let newlyEligible: readonly QueuedRequest[] = [];
    this.#windowClosesAt = undefined;
    if (this.#serves()) {
      // A request that must leave now or never takes its batch along.
      const mustLeave = due.some((waiting) => this.#backlog.isCollecting(waiting));
      const policy = mustLeave ? closeAll : this.#batchPolicy;
      const { closed, wakeAt } = this.#backlog.closeBatches(policy, now);
      newlyEligible = closed;
      this.#windowClosesAt = wakeAt;
      this.#dispatch(now, decisions);
    } else if (!this.#slots.hasTarget('loading')) {
      for (let any = this.#backlog.any; any; any = this.#backlog.any)
        this.#reject(any, 'no_backend_available', decisions);
    }
    this.#enforceBounds(decisions);
    this.#refuseHopeless(newlyEligible, now, decisions);
    for (const waiting of due) if (this.#backlog.has(waiting)) this.#rejectLate(waiting, decisions);
  }

  nextWakeAt(): Milliseconds | undefined {
    return earlierOf(
      earlierOf(this.#backlog.nextStartBy, this.#windowClosesAt),
      this.#retries.size === 0 ? undefined : this.#retries.nextDeadline,
    );
  }

  /** Each alone, where there is room for it: one that waits for another target than the next blocks nobody. */
  #dispatchRetries(now: Milliseconds, decisions: Decision[]): void {
    for (const waiting of this.#retries.inOrder()) {
      const { id, deadlineAt, retry } = waiting.entry;
      if (deadlineAt <= now) {
        this.#reject(waiting, 'queue_timeout', decisions);
        continue;
      }
      const target = this.#slots.findRoom(waiting);
      if (target !== undefined) {
        this.#retries.remove(id);
        const slot = this.#slots.take({ target, granted: waiting, flow: undefined, dispatchedAt: now });
        const members = [{ id, target: target.id, slot }];
        decisions.push({ type: 'dispatch', batch: { id: this.#nextBatchId(), model: this.#model, members } });
      } else if (retry !== undefined && !this.#slots.isWorthWaiting(retry)) {
        this.#reject(waiting, 'no_backend_available', decisions);
      }
    }
  }

  #dispatch(now: Milliseconds, decisions: Decision[]): void {
    for (;;) {
      const members: BatchMember[] = [];
      // A request that alone exceeds the budget leaves alone.
      let leftTokens = Number.POSITIVE_INFINITY;
      let batchTokens = 0;
      while (members.length < this.#options.maxBatchSize) {
        const first = this.#backlog.eligible.next(now);
        if (!first || first.chargedTokens > leftTokens) break;
        // The first in order waits until there is room for it: if smaller ones slipped past, it might wait for ever.
        const target = this.#slots.findRoom(first);
        if (!target) break;
        const next = this.#choose(first, target, { leftTokens, now });
        const flow = this.#backlog.grant(next, now);
        this.#estimator.granted(next, now);
        const slot = this.#slots.take({ target, granted: next, flow, dispatchedAt: now });
        batchTokens += next.chargedTokens;
        leftTokens = this.#options.maxBatchTokens - batchTokens;
        members.push({ id: next.entry.id, target: target.id, slot });
      }
      if (members.length === 0) return;
      decisions.push({ type: 'dispatch', batch: { id: this.#nextBatchId(), model: this.#model, members } });
    }
  }

  /** The first in order, or one of those behind it that continues what the target has cached. */
  #choose(
    first: QueuedRequest,
    target: Target,
    { leftTokens, now }: { leftTokens: number; now: Milliseconds },
  ) {
    const { idle } = target;
    if (!idle && this.#slots.homeOf(first) === undefined) return first;
    const slot = {
      now,
      upcoming: (count: number) => this.#backlog.eligible.upcoming(first, count),
      fits: ({ chargedTokens: tokens }: QueuedRequest) =>
        tokens <= leftTokens && this.#slots.hasRoom(target, tokens),
      longestMs: (candidate: QueuedRequest) => this.#estimator.longestMs(candidate),
    };
    if (idle) return this.#prefixAffinity.choose(first, { ...slot, idle });
    const isHome = (candidate: QueuedRequest) => this.#slots.isHome(candidate, target);
    return this.#prefixAffinity.chooseOfHome(first, { ...slot, isHome });
  }

  #enforceBounds(decisions: Decision[]): void {
    const { shares } = this.#backlog;
    for (const waiting of this.#arrived.reverse())
      if (shares.isOverOwnShare(waiting)) this.#reject(waiting, 'client_queue_full', decisions);
    this.#arrived = [];
    for (let last = shares.displaced; last && shares.isOverfull; last = shares.displaced)
      this.#reject(last, 'queue_full', decisions);
  }

  /** Rejects requests that just joined the queue and cannot be expected to start in time, instead of letting them wait in vain. */
  #refuseHopeless(joined: readonly QueuedRequest[], now: Milliseconds, decisions: Decision[]): void {
    if (!this.#estimator.isTrusted) return;
    for (const waiting of joined) {
      if (!this.#backlog.has(waiting)) continue;
      const ahead = () => this.#backlog.ahead(waiting);
      this.#estimator.queued(waiting, now, { ahead, service: this.#service });
      const leftMs = waiting.startBy - now;
      // All waiting work is more than the work ahead of it: usually this bound is enough.
      const everything = { work: this.#backlog.work, canBeOvertaken: true };
      if (this.#waitMs(everything) > leftMs && this.#waitMs(ahead()) > leftMs)
        this.#reject(waiting, 'queue_timeout', decisions);
    }
  }

  #rejectLate(waiting: QueuedRequest, decisions: Decision[]): void {
    const whyNotServing = this.#slots.hasTarget('loading') ? 'model_loading' : 'no_backend_available';
    this.#reject(waiting, this.#serves() ? 'queue_timeout' : whyNotServing, decisions);
  }

  #reject(waiting: QueuedRequest, code: ErrorCode, decisions: Decision[]): void {
    const queue = { work: this.#backlog.work, canBeOvertaken: false };
    const retryAfterSeconds = this.#serves()
      ? Math.ceil(this.#waitMs(queue) / 1000)
      : NOT_SERVING_RETRY_SECONDS;
    if (!this.#retries.remove(waiting.entry.id)) this.#backlog.remove(waiting);
    decisions.push({
      type: 'reject',
      id: waiting.entry.id,
      code,
      // At least 1: 0 makes official clients retry within milliseconds.
      retryAfterSeconds: Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(1, retryAfterSeconds)),
    });
  }

  #serves(): boolean {
    return this.#slots.serve;
  }

  /** Until the work ahead has been dispatched. */
  #waitMs(ahead: WorkAhead): Milliseconds {
    return this.#estimator.waitMs(ahead, this.#service);
  }

  /** While an eligible request waits, no more can run than does run: the tokens in flight may allow less than the slots. */
  get #service(): ServiceLoad {
    const { usable, running, work } = this.#slots;
    const slots = this.#backlog.eligible.isEmpty ? usable : Math.min(usable, Math.max(1, running));
    return { running: work, slots };
  }
}

function earlierOf(one: Milliseconds | undefined, other: Milliseconds | undefined): Milliseconds | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}
