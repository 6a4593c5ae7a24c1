/** What waits and what runs, for the live feed. Made when somebody looks, from what serving keeps anyway. */
import type { Clock, Milliseconds } from '../core/clock.ts';
import { type LiveState, type LiveViewer, ownerOf } from '../core/live-feed.ts';
import {
  LIVE_LIMITS,
  type LiveRunning,
  type LiveTarget,
  type LiveWaiting,
  type WaitingReason,
} from '../core/live-snapshot.ts';
import type { LinkedList } from '../scheduling/linked-list.ts';
import type { RetryPause } from './retries.ts';
import type { Slot } from './slot.ts';
import type { DescribedCaller, SlotQueue, WaitingCaller } from './slot-queue.ts';
import { type TargetFigures, targetState } from './target-state.ts';
import type { Target } from './targets.ts';

interface LiveParts {
  readonly clock: Clock;
  readonly slotQueue: SlotQueue;
  readonly running: LinkedList<Slot>;
  readonly pauses: LinkedList<RetryPause>;
}

export function liveRequests(
  { clock, slotQueue, running, pauses }: LiveParts,
  viewer: LiveViewer,
): Pick<LiveState, 'queue' | 'running'> {
  const rows = new Rows(viewer, clock);
  const { owner, entries } = viewer;
  const isWanted = (caller: DescribedCaller) =>
    entries === undefined ? rows.isSeen(caller) : entries.has(caller.id);
  const waiting =
    owner === undefined && entries === undefined
      ? slotQueue.waiting(LIVE_LIMITS.queue)
      : slotQueue.waitingOf(isWanted, LIVE_LIMITS.queue);
  waiting.sort((one, other) => one.view.position - other.view.position);
  const queue: LiveWaiting[] = [];
  for (let pause = pauses.head; pause && queue.length < LIVE_LIMITS.queue; pause = pause.next)
    if (rows.isSeen(pause.call)) queue.push(rows.pausing(pause));
  for (const each of waiting) {
    if (queue.length >= LIVE_LIMITS.queue) break;
    queue.push(rows.waiting(each));
  }
  const started: LiveRunning[] = [];
  for (let slot = running.head; slot && started.length < LIVE_LIMITS.running; slot = slot.next) {
    const caller = slot.describe();
    const row = rows.isSeen(caller) ? rows.running(caller, slot) : undefined;
    if (row !== undefined) started.push(row);
  }
  return { queue, running: started };
}

class Rows {
  readonly #viewer: LiveViewer;
  readonly #now: Milliseconds;
  /** Added to a time of the clock: the time since the Unix epoch. */
  readonly #offsetMs: Milliseconds;

  constructor(viewer: LiveViewer, clock: Clock) {
    this.#viewer = viewer;
    this.#now = clock.now();
    this.#offsetMs = clock.wallNow() - this.#now;
  }

  isSeen({ trace }: Pick<DescribedCaller, 'trace'>): boolean {
    const { owner } = this.#viewer;
    return owner === undefined || ownerOf(trace) === owner;
  }

  // The fields are written out, as they are for hundreds of requests a few times a second: fields after a spread cost ten times as much.
  running(caller: DescribedCaller, slot: Slot): LiveRunning | undefined {
    const progress = slot.progress();
    if (progress === undefined) return undefined;
    const { attempt, firstTokenAt, answerTokens } = progress;
    return {
      id: caller.id,
      request_id: caller.trace.requestId,
      model: caller.model,
      priority: caller.priority,
      client: this.#viewer.clientName(caller.client),
      prompt_tokens: caller.promptTokens,
      received_at_ms: this.#at(caller.trace.receivedAt),
      enqueued_at_ms: this.#at(caller.enqueuedAt),
      attempt: caller.attempt,
      target: attempt.target,
      slot: attempt.slot,
      batch: attempt.batch,
      started_at_ms: this.#at(attempt.startedAt),
      first_token_at_ms: firstTokenAt === undefined ? null : this.#at(firstTokenAt),
      completion_tokens: answerTokens,
    };
  }

  waiting({ view: { position, reason, expiresAt, etaMs }, caller }: WaitingCaller): LiveWaiting {
    return this.#waiting(caller, { position, reason, expiresAt, etaMs: etaMs ?? null });
  }

  /** It has no place in the queue: it goes before all that wait once its pause is over. */
  pausing({ call, model, since, endsAt }: RetryPause): LiveWaiting {
    const { trace, cancellation, client, priority, deadlineAt } = call;
    const attempt = (trace.attempts?.length ?? 0) + 1;
    const id = `${trace.requestId}/${attempt}`;
    return this.#waiting(
      { id, model, trace, cancellation, client, priority, promptTokens: 0, enqueuedAt: since, attempt },
      {
        position: 1,
        reason: 'retry_pause',
        expiresAt: deadlineAt,
        etaMs: Math.max(0, Math.round(endsAt - this.#now)),
      },
    );
  }

  #waiting(
    caller: DescribedCaller,
    place: {
      readonly position: number;
      readonly reason: WaitingReason;
      readonly expiresAt: Milliseconds;
      readonly etaMs: Milliseconds | null;
    },
  ): LiveWaiting {
    return {
      id: caller.id,
      request_id: caller.trace.requestId,
      model: caller.model,
      priority: caller.priority,
      client: this.#viewer.clientName(caller.client),
      prompt_tokens: caller.promptTokens,
      received_at_ms: this.#at(caller.trace.receivedAt),
      enqueued_at_ms: this.#at(caller.enqueuedAt),
      attempt: caller.attempt,
      position: place.position,
      reason: place.reason,
      expires_at_ms: this.#at(place.expiresAt),
      eta_ms: place.etaMs,
    };
  }

  /** Tenths of a millisecond are enough, and short. */
  #at(time: Milliseconds): Milliseconds {
    return Math.round((time + this.#offsetMs) * 10) / 10;
  }
}

export function liveTarget(target: Target, serving: TargetFigures): LiveTarget {
  const { used, tokensInFlight, lease, ejections, ...facts } = targetState(target, serving);
  return {
    ...facts,
    slots_used: used,
    tokens_in_flight: tokensInFlight,
    ...(lease && { lease }),
    ejections,
  };
}
