/**
 * Runs the pure scheduler: ticks it when it asks for that, and turns its decisions into granted slots or errors. Owns the queued
 * callers; each gets exactly one grant or rejection, unless it leaves.
 */
import type { LoadReport } from '../core/backend.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';
import type { BatchInfo, QueuePosition } from '../core/request-trace.ts';
import type {
  Alternative,
  Decision,
  EntryId,
  QueueEntry,
  SchedulerTarget,
  Settlement,
  SlotLease,
  TargetNeeds,
} from '../scheduling/decision.ts';
import type { WaitingView } from '../scheduling/queue-view.ts';
import type { Scheduler } from '../scheduling/scheduler.ts';
import { queueRejection } from './queue-rejection.ts';
import type { SharedSlots, SlotDivider } from './shared-slots.ts';
import type { DescribedCaller, EntryOptions, SlotCaller, SlotQueue, WaitingCaller } from './slot-queue.ts';

interface QueuedCaller {
  readonly caller: SlotCaller;
  readonly reporter: QueuePositionReporter | undefined;
}

export class Dispatcher implements SlotQueue {
  readonly #scheduler: Scheduler;
  readonly #clock: Clock;
  /**
   * No Map: each time it grows or shrinks, V8 keeps its old table pointing to the new one. Once an old table is in the old
   * generation, everything that was queued since is kept until the next full collection (decision 0036).
   */
  readonly #queued: Record<EntryId, QueuedCaller | undefined> = Object.create(null);
  #entries = 0;
  #tickPending = false;
  #timer: { readonly at: Milliseconds; readonly timer: Timer } | undefined;
  #sharing: { readonly slots: SharedSlots; readonly divider: SlotDivider } | undefined;

  constructor(options: { readonly scheduler: Scheduler; readonly clock: Clock }) {
    this.#scheduler = options.scheduler;
    this.#clock = options.clock;
  }

  newEntryId(): EntryId {
    this.#entries += 1;
    return `entry_${this.#entries}`;
  }

  enter(entry: QueueEntry, caller: SlotCaller, { onPosition }: Pick<EntryOptions, 'onPosition'> = {}): void {
    this.#scheduler.enqueue(entry, this.#clock.now());
    this.#wake();
    const reporter =
      onPosition &&
      new QueuePositionReporter(this.#clock, () => this.#scheduler.position(entry.id), onPosition);
    this.#queued[entry.id] = { caller, reporter };
  }

  leave(id: EntryId): void {
    const queued = this.#take(id);
    if (queued === undefined) return;
    queued.reporter?.stop();
    this.#scheduler.cancel(id, this.#clock.now());
    this.#wake();
  }

  alternative(model: ModelId, needs: TargetNeeds): Alternative | undefined {
    return this.#scheduler.alternative(model, needs);
  }

  waiting(limit: number): WaitingCaller[] {
    return this.views(limit).flatMap((view) => {
      const caller = this.#queued[view.id]?.caller.describe();
      return caller === undefined ? [] : [{ view, caller }];
    });
  }

  /** As `waiting`, also of requests that other processes have. */
  views(limit: number): readonly WaitingView[] {
    return this.#scheduler.view(limit, this.#clock.now());
  }

  /** One that waits; undefined once it has left the queue. Its position is an estimate. */
  viewOf(id: EntryId): WaitingView | undefined {
    return this.#scheduler.viewOf(id);
  }

  waitingOf(wanted: (caller: DescribedCaller) => boolean, limit: number): WaitingCaller[] {
    const found: WaitingCaller[] = [];
    for (const id in this.#queued) {
      if (found.length === limit) break;
      const caller = this.#queued[id]?.caller.describe();
      if (caller === undefined || !wanted(caller)) continue;
      const view = this.#scheduler.viewOf(id);
      if (view !== undefined) found.push({ view, caller });
    }
    return found;
  }

  setTarget(target: SchedulerTarget): void {
    this.#scheduler.setTarget(target, this.#clock.now());
    this.#wake();
  }

  /** It gets nothing more; what runs there goes on, and is counted in the answer until it has ended. */
  removeTarget(target: Pick<SchedulerTarget, 'id' | 'model'>): { readonly used: number } {
    const slots = this.#scheduler.removeTarget(target, this.#clock.now());
    this.#wake();
    return slots;
  }

  /** From now on, slots of shared targets are given as the divider allows. */
  share(slots: SharedSlots, divider: SlotDivider): void {
    this.#sharing = { slots, divider };
  }

  setLease(target: Pick<SchedulerTarget, 'id' | 'model'>, lease: SlotLease): void {
    this.#scheduler.setLease(target, lease, this.#clock.now());
    this.#wake();
  }

  reportLoad(target: Pick<SchedulerTarget, 'id' | 'model'>, load: LoadReport | undefined): void {
    this.#scheduler.reportLoad(target, load, this.#clock.now());
  }

  close(): void {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  /** One tick at the end of this turn, so that all of a turn's arrivals share it, or a timer for later. */
  #wake(): void {
    const wakeAt = this.#scheduler.nextWakeAt();
    if (wakeAt === undefined || this.#tickPending) return;
    if (wakeAt <= this.#clock.now()) {
      this.#tickPending = true;
      this.#clock.atEndOfTurn(() => this.#tick());
      return;
    }
    if (this.#timer && this.#timer.at <= wakeAt) return;
    this.#timer?.timer.cancel();
    const timer = this.#clock.schedule(wakeAt - this.#clock.now(), () => {
      this.#timer = undefined;
      this.#tick();
    });
    this.#timer = { at: wakeAt, timer };
  }

  #tick(): void {
    this.#tickPending = false;
    this.#sharing?.divider.beforeGrants();
    const decisions = this.#scheduler.tick(this.#clock.now());
    if (this.#sharing !== undefined) this.#noteShared(decisions, this.#sharing);
    for (const decision of decisions) this.#perform(decision);
    this.#sharing?.divider.changed();
    this.#wake();
  }

  #noteShared(
    decisions: readonly Decision[],
    { slots, divider }: { readonly slots: SharedSlots; readonly divider: SlotDivider },
  ): void {
    if (!decisions.some(({ type }) => type !== 'reject')) return;
    const shared = slots.used();
    for (const decision of decisions) {
      if (decision.type === 'reject') continue;
      for (const { target } of decision.batch.members) {
        const given = shared.get(target);
        if (given !== undefined) divider.granted(given.name, given.used);
      }
    }
  }

  #perform(decision: Decision): void {
    if (decision.type === 'reject') {
      const error = queueRejection(decision.code, decision.retryAfterSeconds);
      const rejected = this.#take(decision.id);
      rejected?.reporter?.stop();
      rejected?.caller.rejected(error);
      return;
    }
    const { members } = decision.batch;
    const batch: BatchInfo = { id: decision.batch.id, size: members.length };
    for (const { id, target, slot } of members) {
      const release = (settlement: Settlement) => {
        this.#scheduler.release(id, settlement, this.#clock.now());
        this.#wake();
      };
      const granted = this.#take(id);
      granted?.reporter?.granted();
      granted?.caller.granted({ target, slot, batch, release });
    }
  }

  #take(id: EntryId): QueuedCaller | undefined {
    const queued = this.#queued[id];
    delete this.#queued[id];
    return queued;
  }
}

const REPORT_INTERVAL_MS: Milliseconds = 1000;

/** Reports the position of one queued caller: when it is accepted, then on each change, at most once a second, and 0 when it is granted a slot. */
class QueuePositionReporter {
  readonly #clock: Clock;
  /** Undefined once the entry has left the queue. */
  readonly #read: () => QueuePosition | undefined;
  readonly #report: (position: QueuePosition) => void;
  #last: QueuePosition | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(
    clock: Clock,
    read: () => QueuePosition | undefined,
    report: (position: QueuePosition) => void,
  ) {
    this.#clock = clock;
    this.#read = read;
    this.#report = report;
    // After the tick of this turn, which decides whether the entry is accepted at all.
    clock.atEndOfTurn(() => this.#update());
  }

  granted(): void {
    this.stop();
    this.#report({ position: 0, etaMs: 0 });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #update(): void {
    const now = this.#stopped ? undefined : this.#read();
    if (!now) return;
    if (now.position !== this.#last?.position || now.etaMs !== this.#last.etaMs) this.#report(now);
    this.#last = now;
    this.#timer = this.#clock.schedule(REPORT_INTERVAL_MS, () => this.#update());
  }
}
