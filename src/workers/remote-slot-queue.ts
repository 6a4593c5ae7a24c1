/**
 * The queue as a worker has it: its requests wait in the control process, which grants them slots or rejects them. Owns the callers that
 * wait there and the slots that they hold. Invariant: each caller gets exactly one grant or rejection, unless it leaves; each slot is
 * given back once: by the caller that has it, or by `leave`, for a grant that was on its way then.
 */
import type { LoadReport } from '../core/backend.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { QueuePosition } from '../core/request-trace.ts';
import type {
  Alternative,
  EntryId,
  QueueEntry,
  SchedulerTarget,
  Settlement,
  TargetId,
  TargetNeeds,
} from '../scheduling/decision.ts';
import type { PendingAdmission } from '../serving/pending-admission.ts';
import { queueRejection } from '../serving/queue-rejection.ts';
import type {
  DescribedCaller,
  EntryOptions,
  SlotCaller,
  SlotQueue,
  WaitingCaller,
} from '../serving/slot-queue.ts';
import type { Target } from '../serving/targets.ts';
import type { HostTime } from './link.ts';
import type { SchedulingToControl, SchedulingToWorker } from './scheduling-messages.ts';
import { sentEntry } from './sent-entry.ts';

interface RemoteSlotQueueOptions {
  readonly clock: Clock;
  readonly hostTime: HostTime;
  /** Of this worker; no other one has had it. Begins the ids of its entries. */
  readonly name: string;
  readonly send: (message: SchedulingToControl) => void;
  /** Where nobody waits, a slot may be given back so much later, with something else, which saves a write. */
  readonly releaseWithinMs: Milliseconds;
  readonly alternative: (model: ModelId, needs: TargetNeeds) => Alternative | undefined;
  /** Undefined: this worker's configuration does not have it yet. */
  readonly findTarget: (model: ModelId, target: TargetId) => Target | undefined;
}

interface Waiting {
  readonly entry: QueueEntry;
  readonly caller: SlotCaller;
  readonly onPosition: ((position: QueuePosition) => void) | undefined;
  /** Until that is known, its caller hears nothing. */
  admission: PendingAdmission | undefined;
}

interface Held {
  /** Not another of the same name: a reload may have replaced it. */
  readonly target: Target;
  /** Estimated. */
  readonly promptTokens: number;
}

type Granted = Extract<SchedulingToWorker, { type: 'granted' }>;

/** A slot at a target that this worker's configuration does not have is kept for so long: a reload reaches all processes. */
const UNKNOWN_TARGET_WITHIN_MS = 5000;

/** A silent control process cannot say when a slot will be free. */
const EXPIRED_RETRY_SECONDS = 5;

export class RemoteSlotQueue implements SlotQueue {
  readonly #options: RemoteSlotQueueOptions;
  /** No Maps, as in the dispatcher. */
  readonly #waiting: Record<EntryId, Waiting | undefined> = Object.create(null);
  readonly #held: Record<EntryId, Held | undefined> = Object.create(null);
  /** Grants at targets that are not known yet; their callers still wait. */
  #early: Granted[] = [];
  /** Slots that nobody waits for, not given back yet. */
  #late: SchedulingToControl[] = [];
  #lateTimer: Timer | undefined;
  readonly #contended = new Set<ModelId>();
  #entries = 0;
  #isOver = false;

  constructor(options: RemoteSlotQueueOptions) {
    this.#options = options;
  }

  newEntryId(): EntryId {
    this.#entries += 1;
    return `${this.#options.name}_entry_${this.#entries}`;
  }

  enter(entry: QueueEntry, caller: SlotCaller, { onPosition, admission }: EntryOptions = {}): void {
    const { clock, hostTime, send } = this.#options;
    this.sendLate();
    const waiting: Waiting = { entry, caller, onPosition, admission };
    this.#waiting[entry.id] = waiting;
    admission?.admitted.then(
      () => {
        waiting.admission = undefined;
      },
      // Where the control process did not answer in time, or admitted it and this process did not, it may yet get a slot there.
      () => this.leave(entry.id),
    );
    if (this.#isOver) clock.atEndOfTurn(() => this.#reject(entry.id, new ServingError('draining')));
    else
      send({
        type: 'enqueue',
        entry: sentEntry(entry, hostTime),
        ...(onPosition !== undefined && { reports: true }),
        ...(admission !== undefined && { after: admission.call }),
      });
  }

  leave(id: EntryId): void {
    if (this.#waiting[id] === undefined) return;
    delete this.#waiting[id];
    this.#options.send({ type: 'leave', id });
  }

  alternative(model: ModelId, needs: TargetNeeds): Alternative | undefined {
    return this.#options.alternative(model, needs);
  }

  /** Those of this worker, in the order in which they came: only the control process knows the places of all. */
  waiting(limit: number): WaitingCaller[] {
    return this.waitingOf(() => true, limit);
  }

  waitingOf(wanted: (caller: DescribedCaller) => boolean, limit: number): WaitingCaller[] {
    const found: WaitingCaller[] = [];
    let position = 0;
    for (const id in this.#waiting) {
      if (found.length === limit) break;
      const waiting = this.#waiting[id];
      const caller = waiting?.caller.describe();
      if (waiting === undefined || caller === undefined) continue;
      position += 1;
      if (!wanted(caller)) continue;
      const { model, expiresAt } = waiting.entry;
      const view = { id, model, position, reason: 'turn_of_others', etaMs: undefined, expiresAt } as const;
      found.push({ view, caller });
    }
    return found;
  }

  reportLoad({ id, model }: Pick<SchedulerTarget, 'id' | 'model'>, load: LoadReport | undefined): void {
    this.#options.send({ type: 'load', model, target: id, load: load ?? null });
  }

  granted(message: Granted): void {
    this.#onceAdmitted(message.id, () => this.#granted(message));
  }

  #granted(message: Granted): void {
    const { id, target } = message;
    const waiting = this.#waiting[id];
    // It has left, and so has given the slot back.
    if (waiting === undefined) return;
    const { model, promptTokens } = waiting.entry;
    const found = this.#options.findTarget(model, target);
    if (found === undefined) {
      this.#keep(message);
      return;
    }
    delete this.#waiting[id];
    this.#held[id] = { target: found, promptTokens };
    waiting.onPosition?.({ position: 0, etaMs: 0 });
    const { slot, batch } = message;
    const release = (settlement: Settlement) => this.#release(id, settlement);
    waiting.caller.granted({ target, slot, batch, release });
  }

  rejected({ id, code, retryAfterSeconds }: Extract<SchedulingToWorker, { type: 'rejected' }>): void {
    this.#onceAdmitted(id, () => this.#reject(id, queueRejection(code, retryAfterSeconds)));
  }

  positioned({ id, position }: Extract<SchedulingToWorker, { type: 'position' }>): void {
    this.#onceAdmitted(id, () => this.#waiting[id]?.onPosition?.(position));
  }

  contended({ model, isContended }: Extract<SchedulingToWorker, { type: 'contended' }>): void {
    if (isContended) this.#contended.add(model);
    else this.#contended.delete(model);
    if (isContended) this.sendLate();
  }

  /** There are other targets now. */
  targetsChanged(): void {
    const early = this.#early;
    this.#early = [];
    for (const message of early) this.granted(message);
  }

  /** Slots that may be given back with something else. */
  sendLate(): void {
    this.#lateTimer?.cancel();
    this.#lateTimer = undefined;
    if (this.#late.length === 0) return;
    for (const message of this.#late) this.#options.send(message);
    this.#late = [];
  }

  /** While the control process is silent: what has waited for its time is rejected as that would. */
  expire(): void {
    const now = this.#options.clock.now();
    for (const id in this.#waiting) {
      const entry = this.#waiting[id]?.entry;
      if (entry === undefined || entry.expiresAt > now) continue;
      // It may be granted a slot when the control process goes on.
      this.#options.send({ type: 'leave', id });
      this.#reject(id, queueRejection('queue_timeout', EXPIRED_RETRY_SECONDS));
    }
  }

  /** The control process is gone: nobody will ever get a slot. */
  end(): void {
    this.sendLate();
    this.#isOver = true;
    for (const id of Object.keys(this.#waiting)) this.#reject(id, new ServingError('draining'));
  }

  /** Of this worker's requests. */
  loadOf(model: ModelId): {
    readonly waiting: number;
    readonly waitingBytes: number;
    readonly running: number;
  } {
    let [waiting, waitingBytes, running] = [0, 0, 0];
    for (const id in this.#waiting) {
      const entry = this.#waiting[id]?.entry;
      if (entry?.model !== model) continue;
      waiting += 1;
      waitingBytes += entry.sizeBytes;
    }
    for (const id in this.#held) if (this.#held[id]?.target.model === model) running += 1;
    return { waiting, waitingBytes, running };
  }

  /** By this worker's requests. */
  usedOf(target: Target): { readonly slots: number; readonly tokens: number } {
    let [slots, tokens] = [0, 0];
    for (const id in this.#held) {
      const held = this.#held[id];
      if (held?.target !== target) continue;
      slots += 1;
      tokens += held.promptTokens;
    }
    return { slots, tokens };
  }

  #release(id: EntryId, settlement: Settlement): void {
    const held = this.#held[id];
    if (held === undefined) return;
    delete this.#held[id];
    const { clock, releaseWithinMs } = this.#options;
    this.#late.push({ type: 'release', id, settlement });
    const mayWait = settlement.outcome === 'completed' && !this.#contended.has(held.target.model);
    if (!mayWait || releaseWithinMs === 0) this.sendLate();
    else this.#lateTimer ??= clock.schedule(releaseWithinMs, () => this.sendLate());
  }

  /** What the control process says of an entry comes with what it says of its limits, which is known a moment later here. */
  #onceAdmitted(id: EntryId, run: () => void): void {
    const admission = this.#waiting[id]?.admission;
    if (admission === undefined) run();
    else admission.admitted.then(run, run);
  }

  #keep(message: Granted): void {
    this.#early.push(message);
    this.#options.clock.schedule(UNKNOWN_TARGET_WITHIN_MS, () => {
      if (!this.#early.includes(message)) return;
      this.#early = this.#early.filter((kept) => kept !== message);
      if (this.#waiting[message.id] === undefined) return;
      this.#options.send({ type: 'leave', id: message.id });
      this.#reject(message.id, queueRejection('no_backend_available', 1));
    });
  }

  #reject(id: EntryId, error: ServingError): void {
    const waiting = this.#waiting[id];
    delete this.#waiting[id];
    waiting?.caller.rejected(error);
  }
}
