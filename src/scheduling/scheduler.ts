/**
 * Decides which request runs when. A pure state machine: every method but `tick` only records, `tick` alone decides, and the caller
 * carries the decisions out. It never reads a clock, sets a timer or logs.
 * Invariant: every enqueued entry gets exactly one decision, unless it is cancelled first.
 */
import type { LoadReport } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';
import type { QueuePosition } from '../core/request-trace.ts';
import type {
  Alternative,
  Decision,
  EntryId,
  QueueEntry,
  SchedulerOptions,
  SchedulerTarget,
  Settlement,
  SlotLease,
  TargetNeeds,
} from './decision.ts';
import type { AnswerBound } from './latency-estimator.ts';
import { ModelQueue } from './model-queue.ts';
import type { WaitingView } from './queue-view.ts';
import { ServerLoad } from './server-load.ts';

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #queues = new Map<ModelId, ModelQueue>();
  /** The queue of each live entry, so that `release` and `cancel` need only its id. */
  readonly #queueOf = new Map<EntryId, ModelQueue>();
  /** By address. */
  readonly #servers = new Map<string, ServerLoad>();
  #batches = 0;
  #recordedAt: Milliseconds | undefined;
  /** Time never goes back in here: when the clock does, the difference is added from then on. */
  #latest: Milliseconds = Number.NEGATIVE_INFINITY;
  #lostMs: Milliseconds = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  setTarget(target: SchedulerTarget, now: Milliseconds): void {
    this.#queue(target.model).setTarget(target, this.#inner(now));
    this.#recordedAt = now;
  }

  /** Of a shared target: what may be given of its slots. */
  setLease(
    { model, id }: Pick<SchedulerTarget, 'id' | 'model'>,
    { slots, until }: SlotLease,
    now: Milliseconds,
  ): void {
    const innerNow = this.#inner(now);
    this.#queues.get(model)?.setLease(id, { slots, until: until + this.#lostMs }, innerNow);
    this.#recordedAt = now;
  }

  /** It gets nothing more; what runs there goes on, and is counted in the answer until it has ended. */
  removeTarget(
    { model, id }: Pick<SchedulerTarget, 'id' | 'model'>,
    now: Milliseconds,
  ): { readonly used: number } {
    this.#recordedAt = now;
    return this.#queue(model).removeTarget(id);
  }

  /** Drops the queues of models without a target, in which nothing waits or runs. */
  forgetUnused(): void {
    for (const [model, queue] of this.#queues) if (queue.isUnused) this.#queues.delete(model);
  }

  /** What the target's server reports of its load; undefined: nothing any more. It gives nobody a slot, so it needs no tick. */
  reportLoad(
    { model, id }: Pick<SchedulerTarget, 'id' | 'model'>,
    load: LoadReport | undefined,
    now: Milliseconds,
  ): void {
    this.#queues.get(model)?.reportLoad(id, load, this.#inner(now));
  }

  enqueue(entry: QueueEntry, now: Milliseconds): void {
    if (this.#queueOf.has(entry.id)) throw new Error(`entry ${entry.id} is already scheduled`);
    const queue = this.#queue(entry.model);
    this.#queueOf.set(entry.id, queue);
    const innerNow = this.#inner(now);
    queue.enqueue(this.#lostMs === 0 ? entry : delayed(entry, this.#lostMs), innerNow);
    this.#recordedAt = now;
  }

  release(id: EntryId, settlement: Settlement, now: Milliseconds): void {
    if (this.#queueOf.get(id)?.release(id, settlement, this.#inner(now))) this.#queueOf.delete(id);
    this.#recordedAt = now;
  }

  /** Takes a waiting entry out; one that holds a slot must be released instead. */
  cancel(id: EntryId, now: Milliseconds): void {
    if (this.#queueOf.get(id)?.cancel(id)) this.#queueOf.delete(id);
    this.#recordedAt = now;
  }

  /** The position of a waiting entry; undefined once it has left the queue. */
  position(id: EntryId): QueuePosition | undefined {
    return this.#queueOf.get(id)?.position(id);
  }

  /** The first `limit` of each model that wait, in the order in which they would be served now. */
  view(limit: number, now: Milliseconds): readonly WaitingView[] {
    const innerNow = this.#inner(now);
    return [...this.#queues.values()].flatMap((queue) => queue.view(limit, innerNow)).map(this.#outer);
  }

  /** One that waits; undefined once it has left the queue. Its position is an estimate. */
  viewOf(id: EntryId): WaitingView | undefined {
    const view = this.#queueOf.get(id)?.viewOf(id);
    return view && this.#outer(view);
  }

  tick(now: Milliseconds): readonly Decision[] {
    this.#recordedAt = undefined;
    const decisions: Decision[] = [];
    for (const queue of this.#queues.values()) queue.tick(this.#inner(now), decisions);
    for (const decision of decisions) if (decision.type === 'reject') this.#queueOf.delete(decision.id);
    return decisions;
  }

  /** When to tick next: at or before now means at the end of this turn; undefined means not before something is recorded. */
  nextWakeAt(): Milliseconds | undefined {
    if (this.#recordedAt !== undefined) return this.#recordedAt;
    let earliest: Milliseconds | undefined;
    for (const queue of this.#queues.values()) {
      const wakeAt = queue.nextWakeAt();
      if (wakeAt !== undefined && (earliest === undefined || wakeAt < earliest)) earliest = wakeAt;
    }
    return earliest === undefined ? undefined : earliest - this.#lostMs;
  }

  /** What the model's targets, ejected ones too, offer a request with such needs; undefined where none may get it. */
  alternative(model: ModelId, needs: TargetNeeds): Alternative | undefined {
    return this.#queues.get(model)?.alternative(needs);
  }

  /** What limits reserve for an answer with that bound. */
  reservedAnswerTokens(model: ModelId, bound: AnswerBound): number {
    return this.#queue(model).reservedAnswerTokens(bound);
  }

  waiting(model: ModelId): { readonly requests: number; readonly sizeBytes: number } {
    const { waiting = 0, waitingBytes = 0 } = this.#queues.get(model) ?? {};
    return { requests: waiting, sizeBytes: waitingBytes };
  }

  running(model: ModelId): number {
    return this.#queues.get(model)?.running ?? 0;
  }

  /** Slots that are held at a target, and the estimated tokens of their requests. */
  usedOf(target: Pick<SchedulerTarget, 'id' | 'model'>): { readonly slots: number; readonly tokens: number } {
    return this.#queues.get(target.model)?.usedOf(target.id) ?? { slots: 0, tokens: 0 };
  }

  /** Slots that a target has; undefined where it is not known. */
  slotsOf(target: Pick<SchedulerTarget, 'id' | 'model'>): number | undefined {
    return this.#queues.get(target.model)?.slotsOf(target.id);
  }

  /** It has got the one request whose end decides whether it works. */
  isOnTrial(target: Pick<SchedulerTarget, 'id' | 'model'>): boolean {
    return this.#queues.get(target.model)?.isOnTrial(target.id) ?? false;
  }

  #inner(now: Milliseconds): Milliseconds {
    this.#lostMs += Math.max(0, this.#latest - (now + this.#lostMs));
    this.#latest = now + this.#lostMs;
    return this.#latest;
  }

  readonly #outer = (view: WaitingView): WaitingView =>
    this.#lostMs === 0 ? view : { ...view, expiresAt: view.expiresAt - this.#lostMs };

  #serverOf({ server }: SchedulerTarget): ServerLoad {
    const known = server === undefined ? undefined : this.#servers.get(server);
    if (known !== undefined) return known;
    const load = new ServerLoad();
    if (server !== undefined) this.#servers.set(server, load);
    return load;
  }

  #queue(model: ModelId): ModelQueue {
    let queue = this.#queues.get(model);
    if (!queue) {
      queue = new ModelQueue(model, this.#options, {
        nextBatchId: () => `batch_${++this.#batches}`,
        serverOf: (target) => this.#serverOf(target),
      });
      this.#queues.set(model, queue);
    }
    return queue;
  }
}

function delayed(entry: QueueEntry, byMs: Milliseconds): QueueEntry {
  return { ...entry, expiresAt: entry.expiresAt + byMs, deadlineAt: entry.deadlineAt + byMs };
}
