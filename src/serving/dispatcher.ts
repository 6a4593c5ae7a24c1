/**
 * Performs what the pure scheduler decides: turns its decisions into granted slots or errors, and ticks it when it
 * asks for that. Owns the waiting callers; each is told exactly one of a grant and a rejection, unless it leaves.
 */

import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { BatchInfo, QueuePosition } from '../core/request-trace.ts';
import type {
  Decision,
  EntryId,
  QueueEntry,
  SchedulerTarget,
  Settlement,
  TargetId,
} from '../scheduling/decision.ts';
import type { Scheduler } from '../scheduling/scheduler.ts';

export interface Grant {
  readonly target: TargetId;
  readonly batch: BatchInfo;
  /** Gives the slot back; only the first call counts. */
  release(settlement: Settlement): void;
}

/** Who waits in the queue. Neither method throws. */
export interface SlotCaller {
  granted(grant: Grant): void;
  rejected(error: ServingError): void;
}

interface QueuedCaller {
  readonly caller: SlotCaller;
  readonly reports: QueuePositionReporter | undefined;
}

const REJECTION_MESSAGES: Readonly<Record<string, string>> = {
  queue_full: 'Too many requests are waiting for this model. Retry after the time in Retry-After.',
  client_queue_full:
    'Too many requests of this client are waiting for this model. Retry after the time in Retry-After.',
  queue_timeout:
    'No slot became free in time for this request, or none can be expected to. Retry after the time in Retry-After.',
  model_loading: 'The model is still being fetched or loaded. GET /ready says when it can be used.',
  no_backend_available:
    'No backend for this model can be reached at the moment. GET /ready says which and why.',
};

export class Dispatcher {
  readonly #scheduler: Scheduler;
  readonly #clock: Clock;
  /**
   * No Map: each time it grows or shrinks, V8 keeps its old table pointing to the new one. Once an old table is in the old
   * generation, all that waited since is kept until the next full collection (decision 0036).
   */
  readonly #waiting: Record<EntryId, QueuedCaller | undefined> = Object.create(null);
  #entries = 0;
  #tickPending = false;
  #timer: { readonly at: Milliseconds; readonly timer: Timer } | undefined;

  constructor(options: { readonly scheduler: Scheduler; readonly clock: Clock }) {
    this.#scheduler = options.scheduler;
    this.#clock = options.clock;
  }

  /** For an entry to be acquired for. */
  newEntryId(): EntryId {
    this.#entries += 1;
    return `entry_${this.#entries}`;
  }

  /** Waits in the queue for a slot. `onQueuePosition` is told where it stands meanwhile. */
  enter(entry: QueueEntry, caller: SlotCaller, onQueuePosition?: (place: QueuePosition) => void): void {
    this.#scheduler.enqueue(entry, this.#clock.now());
    this.#wake();
    const reports =
      onQueuePosition &&
      new QueuePositionReporter({
        clock: this.#clock,
        read: () => this.#scheduler.position(entry.id),
        tell: onQueuePosition,
      });
    this.#waiting[entry.id] = { caller, reports };
  }

  /** Waits no longer, and is told nothing more. */
  leave(id: EntryId): void {
    const waiting = this.#take(id);
    if (waiting === undefined) return;
    waiting.reports?.stop();
    this.#scheduler.cancel(id, this.#clock.now());
    this.#wake();
  }

  setTarget(target: SchedulerTarget): void {
    this.#scheduler.setTarget(target, this.#clock.now());
    this.#wake();
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
    for (const decision of this.#scheduler.tick(this.#clock.now())) this.#perform(decision);
    this.#wake();
  }

  #perform(decision: Decision): void {
    if (decision.type === 'reject') {
      const { code, retryAfterSeconds } = decision;
      const message = REJECTION_MESSAGES[code];
      const error = new ServingError(code, {
        retryAfterSeconds,
        ...(message === undefined ? {} : { message }),
      });
      const rejected = this.#take(decision.id);
      rejected?.reports?.stop();
      rejected?.caller.rejected(error);
      return;
    }
    const { members } = decision.batch;
    const batch: BatchInfo = { id: decision.batch.id, size: members.length };
    for (const { id, target } of members) {
      const release = (settlement: Settlement) => {
        this.#scheduler.release(id, settlement, this.#clock.now());
        this.#wake();
      };
      const granted = this.#take(id);
      granted?.reports?.granted();
      granted?.caller.granted({ target, batch, release });
    }
  }

  #take(id: EntryId): QueuedCaller | undefined {
    const waiting = this.#waiting[id];
    delete this.#waiting[id];
    return waiting;
  }
}

/** Tells one waiting caller its place in the queue: once it is accepted, then when it changes, at most once a second, and 0 when it leaves for a slot. */

const REPORT_EVERY_MS: Milliseconds = 1000;

interface QueuePositionReporterOptions {
  readonly clock: Clock;
  /** Undefined once the entry has left the queue. */
  readonly read: () => QueuePosition | undefined;
  readonly tell: (place: QueuePosition) => void;
}

class QueuePositionReporter {
  readonly #options: QueuePositionReporterOptions;
  #told: QueuePosition | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: QueuePositionReporterOptions) {
    this.#options = options;
    // After the tick of this turn, which decides whether the entry is accepted at all.
    options.clock.atEndOfTurn(() => this.#report());
  }

  granted(): void {
    this.stop();
    this.#options.tell({ position: 0, etaMs: 0 });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #report(): void {
    const place = this.#stopped ? undefined : this.#options.read();
    if (!place) return;
    if (place.position !== this.#told?.position || place.etaMs !== this.#told.etaMs)
      this.#options.tell(place);
    this.#told = place;
    this.#timer = this.#options.clock.schedule(REPORT_EVERY_MS, () => this.#report());
  }
}
