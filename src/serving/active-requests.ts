/** What waits and what runs, as administrators see it: whose it is, and the id by which one is cancelled. Made when somebody looks. */
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { WaitingReason } from '../core/live-snapshot.ts';
import type { Priority } from '../core/priority.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import type { EntryId } from '../scheduling/decision.ts';
import type { LinkedList } from '../scheduling/linked-list.ts';
import type { RetryPause } from './retries.ts';
import type { Slot } from './slot.ts';
import type { DescribedCaller, SlotQueue } from './slot-queue.ts';

/** Whose it is; nothing of what it asks. */
export interface ShownRequest {
  readonly requestId: string;
  readonly client: string | undefined;
  readonly model: string | undefined;
  readonly caller: { readonly name: string; readonly team?: string | undefined } | undefined;
}

interface ActiveRequest {
  /** Of the request: its choices share it, and its tries. */
  readonly id: string;
  readonly request: ShownRequest;
  readonly model: string;
  readonly priority: Priority;
  /** An estimate until the backend reports it; 0 between two tries. */
  readonly promptTokens: number;
  /** 1: the first. */
  readonly attempt: number;
  /** In the queue, for this try. */
  readonly waitedMs: Milliseconds;
}

export interface WaitingRequest extends ActiveRequest {
  /** In the queue; undefined between two tries. */
  readonly entry: EntryId | undefined;
  /** 1 is next. */
  readonly position: number;
  readonly reason: WaitingReason;
  /** Its wait ends then without a slot. */
  readonly expiresInMs: Milliseconds;
  /** An estimate. */
  readonly etaMs: Milliseconds | undefined;
}

export interface RunningRequest extends ActiveRequest {
  readonly target: string;
  readonly slot: number;
  /** Since it has its slot. */
  readonly runningMs: Milliseconds;
  /** So far. */
  readonly completionTokens: number;
}

export interface ActiveRequests {
  /** In the order in which they would be served now. */
  readonly waiting: readonly WaitingRequest[];
  /** In the order in which they began. */
  readonly running: readonly RunningRequest[];
}

/** With the numbers of all, those included that a limit leaves out. */
export interface CountedRequests extends ActiveRequests {
  readonly totals: { readonly waiting: number; readonly running: number };
}

export interface ActiveBounds {
  /** At most so many that wait, and as many that run. */
  readonly limit: number;
  /** Of those that wait in the queue, only these; absent: the first. */
  readonly entries?: ReadonlySet<EntryId> | undefined;
}

interface ActiveParts {
  readonly clock: Clock;
  readonly slotQueue: SlotQueue;
  readonly running: LinkedList<Slot>;
  readonly pauses: LinkedList<RetryPause>;
  /** By the cancellation of each. */
  readonly ids: ReadonlyMap<Cancellation, string>;
}

export function activeRequests(
  { clock, slotQueue, running, pauses, ids }: ActiveParts,
  { limit, entries }: ActiveBounds,
): ActiveRequests {
  const now = clock.now();
  const waiting: WaitingRequest[] = [];
  for (let pause = pauses.head; pause && waiting.length < limit; pause = pause.next)
    waiting.push(pausing(pause, now, ids));
  const queued =
    entries === undefined
      ? slotQueue.waiting(limit)
      : slotQueue.waitingOf(({ id }) => entries.has(id), entries.size);
  queued.sort((one, other) => one.view.position - other.view.position);
  for (const { view, caller } of queued.slice(0, limit - waiting.length)) {
    const { position, reason, expiresAt, etaMs } = view;
    const request = describe(caller, now - caller.enqueuedAt, ids);
    const entry = caller.id;
    waiting.push({ ...request, entry, position, reason, expiresInMs: expiresAt - now, etaMs });
  }
  const started: RunningRequest[] = [];
  for (let slot = running.head; slot && started.length < limit; slot = slot.next) {
    const progress = slot.progress();
    if (progress === undefined) continue;
    const { attempt, answerTokens } = progress;
    const caller = slot.describe();
    started.push({
      ...describe(caller, attempt.startedAt - caller.enqueuedAt, ids),
      target: attempt.target,
      slot: attempt.slot,
      runningMs: now - attempt.startedAt,
      completionTokens: answerTokens,
    });
  }
  return { waiting, running: started };
}

export function shownRequest({ requestId, client, model, caller }: RequestTrace): ShownRequest {
  return { requestId, client, model, caller: caller && { name: caller.name, team: caller.team } };
}

function describe(
  caller: Omit<DescribedCaller, 'id' | 'client' | 'enqueuedAt'>,
  waitedMs: Milliseconds,
  ids: ActiveParts['ids'],
): ActiveRequest {
  const { trace, cancellation, model, priority, promptTokens, attempt } = caller;
  const id = ids.get(cancellation) ?? '';
  return { id, request: shownRequest(trace), model, priority, promptTokens, attempt, waitedMs };
}

/** It has no place in the queue: it goes before all that wait once its pause is over. */
function pausing(
  { call, model, since, endsAt }: RetryPause,
  now: Milliseconds,
  ids: ActiveParts['ids'],
): WaitingRequest {
  const { trace, cancellation, priority, deadlineAt } = call;
  const attempt = (trace.attempts?.length ?? 0) + 1;
  return {
    ...describe({ trace, cancellation, model, priority, promptTokens: 0, attempt }, now - since, ids),
    entry: undefined,
    position: 1,
    reason: 'retry_pause',
    expiresInMs: deadlineAt - now,
    etaMs: Math.max(0, endsAt - now),
  };
}
