/**
 * What one worker has in the queue and in slots. Owns its entries until they are rejected, have left, or have given their slot back.
 * Invariant: each entry's slot is given back exactly once: with the worker's settlement, or when the worker left before it knew, or ended.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { QueuePosition } from '../core/request-trace.ts';
import type { EntryId, Settlement, TargetId } from '../scheduling/decision.ts';
import type { LocalControl } from '../serving/local-control.ts';
import type { TriedRequest } from '../serving/serving-control.ts';
import type { Grant, SlotCaller } from '../serving/slot-queue.ts';
import type { Target } from '../serving/targets.ts';
import type { HostTime } from './link.ts';
import type { FailedTry, SchedulingToControl, SchedulingToWorker } from './scheduling-messages.ts';
import { receivedEntry, type SentEntry } from './sent-entry.ts';

/** Whether the limits of a request have admitted it, by the worker's number of that decision. */
export type AdmittedCalls = (call: number) => boolean | Promise<boolean>;

interface WorkerEntriesOptions {
  readonly clock: Clock;
  readonly hostTime: HostTime;
  readonly control: LocalControl;
  readonly send: (message: SchedulingToWorker) => void;
  readonly admitted: AdmittedCalls;
  readonly setDrained: (target: TargetId, isDrained: boolean) => void;
  readonly findTarget: (model: ModelId, id: TargetId) => Target | undefined;
  /** Since when this target, not another of the same name, is in the configuration. */
  readonly knownSince: (target: Target) => Milliseconds;
  /** After the tick that decides about it, somebody may wait for the model. */
  readonly onEntered: (model: ModelId) => void;
  readonly onSlotChange: (target: Target, change: 'taken' | 'given back') => void;
}

type Enqueue = Extract<SchedulingToControl, { type: 'enqueue' }>;

/** Nothing ran in the slot. */
const UNUSED: Settlement = {
  outcome: 'cancelled',
  promptTokens: 0,
  answerTokens: 0,
  firstTokenMs: undefined,
};

/** Of a request that has failed nowhere. */
const NO_REQUEST: TriedRequest = { requestId: '' };

export class WorkerEntries {
  readonly #options: WorkerEntriesOptions;
  /** No Map, as in the dispatcher. */
  readonly #entries: Record<EntryId, WorkerEntry | undefined> = Object.create(null);
  /** Their limits are being decided by a shared store. */
  readonly #undecided = new Set<EntryId>();
  /** Those that have failed somewhere, by the worker's number. */
  readonly #failed = new Map<number, TriedRequest>();

  constructor(options: WorkerEntriesOptions) {
    this.#options = options;
  }

  receive(message: SchedulingToControl): void {
    const { control } = this.#options;
    switch (message.type) {
      case 'enqueue':
        this.#enqueueIfAdmitted(message);
        break;
      case 'leave':
        this.#leave(message.id);
        break;
      case 'release':
        this.#release(message.id, message.settlement);
        break;
      case 'try-failed':
        this.#tryFailed(message.failed);
        break;
      case 'answered': {
        const request = this.#failed.get(message.request);
        if (request !== undefined) control.onAnswered(request);
        break;
      }
      case 'request-failed': {
        const request = this.#failed.get(message.request);
        if (request !== undefined) control.onRequestFailed(request, message.asked);
        break;
      }
      case 'forgotten':
        this.#failed.delete(message.request);
        break;
      case 'load': {
        const { model, target: id, load } = message;
        control.slotQueue.reportLoad({ model, id }, load ?? undefined);
        break;
      }
      case 'set-drained':
        this.#options.setDrained(message.target, message.isDrained);
        break;
      default:
        throw message satisfies never;
    }
  }

  /**
   * The worker is gone. Its connections went with it, so its slots are free; what its requests had used is not known: their prompts are
   * charged. Faults that may have been their own doing stay undecided, as those of a cancelled request.
   */
  end(): void {
    this.#failed.clear();
    this.#undecided.clear();
    for (const id of Object.keys(this.#entries)) {
      this.#options.control.slotQueue.leave(id);
      this.#giveBack(id, { ...UNUSED, promptTokens: this.#entries[id]?.sent.promptTokens ?? 0 });
    }
  }

  #enqueueIfAdmitted(message: Enqueue): void {
    const { after, entry } = message;
    const admitted = after === undefined || this.#options.admitted(after);
    if (admitted === true) this.#enqueue(message);
    // Of one that is refused, the worker hears by its limits.
    if (typeof admitted === 'boolean') return;
    this.#undecided.add(entry.id);
    void admitted.then((isAdmitted) => {
      if (this.#undecided.delete(entry.id) && isAdmitted) this.#enqueue(message);
    });
  }

  #enqueue({ entry: sent, reports }: Enqueue): void {
    const { control, hostTime, send } = this.#options;
    const { id } = sent;
    const entry = new WorkerEntry(sent, this);
    this.#entries[id] = entry;
    const onPosition = ({ position, etaMs }: QueuePosition) => {
      // That it has left the queue, its grant says.
      if (position > 0) send({ type: 'position', id, position: { position, etaMs } });
    };
    control.slotQueue.enter(receivedEntry(sent, hostTime), entry, reports && { onPosition });
    this.#options.onEntered(sent.model);
  }

  get now(): Milliseconds {
    return this.#options.clock.now();
  }

  granted({ id, model }: SentEntry, { target: at, slot, batch }: Grant): Target | undefined {
    const { findTarget, send, onSlotChange } = this.#options;
    const target = findTarget(model, at);
    send({ type: 'granted', id, target: at, slot, batch });
    if (target !== undefined) onSlotChange(target, 'taken');
    return target;
  }

  rejected({ id }: SentEntry, { code, retryAfterSeconds = 1 }: ServingError): void {
    delete this.#entries[id];
    this.#options.send({ type: 'rejected', id, code, retryAfterSeconds });
  }

  /** Out of the queue, or of the slot that it has got meanwhile. */
  #leave(id: EntryId): void {
    this.#undecided.delete(id);
    this.#options.control.slotQueue.leave(id);
    this.#giveBack(id, UNUSED);
  }

  #release(id: EntryId, settlement: Settlement): void {
    const entry = this.#giveBack(id, settlement);
    if (entry?.target === undefined || settlement.outcome !== 'completed') return;
    const ended = { request: NO_REQUEST, startedAt: entry.startedAt, isRetry: false };
    this.#options.control.onAttemptEnded(entry.target, undefined, ended);
  }

  #giveBack(id: EntryId, settlement: Settlement): WorkerEntry | undefined {
    const entry = this.#entries[id];
    if (entry === undefined) return undefined;
    delete this.#entries[id];
    entry.grant?.release(settlement);
    if (entry.target !== undefined) this.#options.onSlotChange(entry.target, 'given back');
    return entry;
  }

  #tryFailed(failed: FailedTry): void {
    const { control, hostTime, findTarget, knownSince } = this.#options;
    const { request: number, requestId, code, message, failure, retryAfterSeconds, cause } = failed;
    const target = findTarget(failed.model, failed.target);
    const startedAt = hostTime.fromHost(failed.startedAt);
    if (target === undefined || startedAt < knownSince(target)) return;
    const request = (number === undefined ? undefined : this.#failed.get(number)) ?? { requestId };
    if (number !== undefined) this.#failed.set(number, request);
    const error = new ServingError(code, {
      message,
      failure,
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      ...(cause !== undefined && { cause }),
    });
    // That it had been tried before counts where it succeeds.
    control.onAttemptEnded(target, error, { request, startedAt, isRetry: false });
  }
}

class WorkerEntry implements SlotCaller {
  readonly sent: SentEntry;
  readonly #owner: WorkerEntries;
  grant: Grant | undefined;
  /** Not another of the same name: a reload may replace it. */
  target: Target | undefined;
  startedAt: Milliseconds = 0;

  constructor(sent: SentEntry, owner: WorkerEntries) {
    this.sent = sent;
    this.#owner = owner;
    this.grant = undefined;
    this.target = undefined;
    this.startedAt = 0;
  }

  /** Its worker does. */
  describe(): undefined {
    return undefined;
  }

  granted(grant: Grant): void {
    this.grant = grant;
    this.startedAt = this.#owner.now;
    this.target = this.#owner.granted(this.sent, grant);
  }

  rejected(error: ServingError): void {
    this.#owner.rejected(this.sent, error);
  }
}
