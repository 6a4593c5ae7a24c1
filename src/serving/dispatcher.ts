/**
 * Performs what the pure scheduler decides: turns its decisions into granted slots or errors, and ticks it when it
 * asks for that. Owns the waiting callers; each gets exactly one of a grant, a rejection, its own cancellation.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { BatchInfo, QueuePlace } from '../core/receipt.ts';
import type {
  Decision,
  EntryId,
  QueueEntry,
  SchedulerTarget,
  Settlement,
  TargetId,
} from '../scheduling/decision.ts';
import type { Scheduler } from '../scheduling/scheduler.ts';
import { PlaceReports } from './place-reports.ts';

export interface Grant {
  readonly target: TargetId;
  readonly batch: BatchInfo;
  /** Gives the slot back; only the first call counts. */
  release(settlement: Settlement): void;
}

export interface Admission {
  readonly entry: QueueEntry;
  readonly signal: AbortSignal;
  /** Told where the request stands while it waits. */
  readonly onPlace?: ((place: QueuePlace) => void) | undefined;
}

interface Caller {
  grant(grant: Grant): void;
  fail(error: ServingError): void;
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
  readonly #callers = new Map<EntryId, Caller>();
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

  /** Waits in the queue for a slot. Throws a ServingError: the scheduler's rejection, or the signal's reason. */
  acquire({ entry, signal, onPlace }: Admission): Promise<Grant> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const { id } = entry;
    return new Promise<Grant>((resolve, reject) => {
      let reports: PlaceReports | undefined;
      const leave = () => {
        reports?.stop();
        this.#callers.delete(id);
        this.#scheduler.cancel(id, this.#clock.now());
        this.#wake();
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave);
      this.#callers.set(id, {
        grant: (grant) => {
          signal.removeEventListener('abort', leave);
          reports?.granted();
          resolve(grant);
        },
        fail: (error) => {
          signal.removeEventListener('abort', leave);
          reports?.stop();
          reject(error);
        },
      });
      this.#scheduler.enqueue(entry, this.#clock.now());
      this.#wake();
      if (!onPlace) return;
      reports = new PlaceReports({
        clock: this.#clock,
        read: () => this.#scheduler.place(id),
        tell: onPlace,
      });
    });
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
      this.#take(decision.id)?.fail(error);
      return;
    }
    const { members } = decision.batch;
    const batch: BatchInfo = { id: decision.batch.id, size: members.length };
    for (const { id, target } of members) {
      const release = (settlement: Settlement) => {
        this.#scheduler.release(id, settlement, this.#clock.now());
        this.#wake();
      };
      this.#take(id)?.grant({ target, batch, release });
    }
  }

  #take(id: EntryId): Caller | undefined {
    const caller = this.#callers.get(id);
    this.#callers.delete(id);
    return caller;
  }
}
