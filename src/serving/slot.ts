/**
 * The slot of one try of a request, be it a generation or an embedding: acquired from the queue, bounded by the request's deadline,
 * settled with what was really used, released. Invariants: the work in a slot is started at most once and fails at most
 * once; a granted slot is settled exactly once, and released when the backend is free of the request, at the latest a second
 * after its end.
 */
import type { Along } from '../core/backend.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { Consumption, type UsedTokens } from '../core/consumption.ts';
import { CANCELLATIONS, ServingError } from '../core/errors.ts';
import type { GenerationRequest, ModelId } from '../core/generation.ts';
import type { Priority } from '../core/priority.ts';
import type { Attempt, AttemptOutcome, QueuePosition, RequestTrace } from '../core/request-trace.ts';
import type { EntryId, Outcome, Settlement } from '../scheduling/decision.ts';
import type { LinkedList, ListNode } from '../scheduling/linked-list.ts';
import type { PrefixFingerprint } from '../scheduling/prefix-fingerprint.ts';
import { deadlineError } from './deadline-error.ts';
import { onceAdmitted, type PendingAdmission } from './pending-admission.ts';
import type { PromptSize } from './prompt-size.ts';
import type { NextTry, RetryServices } from './retries.ts';
import type { DescribedCaller, Grant, SlotCaller, SlotQueue } from './slot-queue.ts';
import type { Target } from './targets.ts';

/** A request as serving takes it, whatever it asks of the model. */
export interface SlotCall {
  /** What the queue needs of it. */
  readonly request: Pick<GenerationRequest, 'model' | 'limits'>;
  readonly trace: RequestTrace;
  /** The client that shares the slots with others; opaque. */
  readonly client: string;
  readonly priority: Priority;
  readonly cancellation: Cancellation;
  /** Memory that it takes while it waits, where that is more than its prompt: its body as received. */
  readonly heldBytes?: number;
  /** Of the client's request, for remote servers. */
  readonly along?: Along | undefined;
  /** When the answer must be finished. */
  readonly deadlineAt: Milliseconds;
  /** Its limits are being decided; absent: they have admitted it. */
  readonly admission?: PendingAdmission | undefined;
  /** Called with its position while it waits, and with position 0 when it leaves the queue. */
  readonly onQueuePosition?: ((position: QueuePosition) => void) | undefined;
}

export interface SlotServices extends RetryServices {
  readonly clock: Clock;
  readonly slotQueue: SlotQueue;
  readonly queueTimeoutMs: Milliseconds;
  /** The slots whose work has started and not ended, in that order, for GET /live. Not a Set, as in the dispatcher. */
  readonly running: LinkedList<Slot>;
  findTarget(model: ModelId, id: string): Target;
  /** None of the model's targets has the model. */
  isMissing(model: ModelId): boolean;
  /** A try has ended there: undefined: it succeeded; an error without `failure` says nothing of the target. */
  onAttemptEnded(
    target: Target,
    error: ServingError | undefined,
    ended: { readonly attempt: Attempt; readonly trace: RequestTrace },
  ): void;
  /** The target that is asked has begun to answer, after other tries had failed. */
  onAnswered(trace: RequestTrace): void;
  /** The request has failed, and is not tried again. Not called of a cancelled one. */
  onRequestFailed(trace: RequestTrace): void;
}

/** What is done in a slot. None of the methods throws. */
export interface SlotWork {
  readonly promptSize: PromptSize;
  /** How the prompt begins, where the slots cache prefixes. */
  readonly prefix: PrefixFingerprint | undefined;
  /** Read when the work ends. */
  readonly used: UsedTokens;
  /** The backend has answered something. Read when the work ends. */
  readonly hasBegun: boolean;
  /** Read when the work ends. */
  readonly firstTokenAt: Milliseconds | undefined;
  /** The answer reached the bound that its client had set. Read when the work ends. */
  readonly isCut: boolean;
  /** Completes the message of the deadline's error. */
  readonly deadlineAdvice: string;
  /** The slot has been granted. The work ends with `slot.complete` or `slot.fail`. */
  start(target: Target, slot: Slot): void;
  /** The request was cancelled after `start`: end with `slot.fail`. */
  cancel(reason: ServingError): void;
  /** It has ended without success: rejected by the queue, cancelled, or failed by the backend. */
  failed(error: ServingError): void;
}

export interface SlotProgress {
  readonly attempt: Attempt;
  readonly firstTokenAt: Milliseconds | undefined;
  /** So far. */
  readonly answerTokens: number;
}

const MAX_RELEASE_DELAY_MS = 1000;

/** Queues the request; the work starts when a slot is granted. `next`: it was tried before. */
export function withSlot(call: SlotCall, work: SlotWork, services: SlotServices, next?: NextTry): void {
  new Slot(call, work, services).acquire(next);
}

export class Slot implements SlotCaller, ListNode<Slot> {
  previous: Slot | undefined;
  next: Slot | undefined;
  list: ListNode<Slot>['list'];
  readonly #call: SlotCall;
  readonly #work: SlotWork;
  readonly #services: SlotServices;
  readonly #id: EntryId;
  #enqueuedAt: Milliseconds = 0;
  #grant: Grant | undefined;
  #target: Target | undefined;
  #deadline: Timer | undefined;
  #kind: NextTry['kind'] | undefined;
  #attempt: Attempt | undefined;
  #isOver = false;

  constructor(call: SlotCall, work: SlotWork, services: SlotServices) {
    this.previous = undefined;
    this.next = undefined;
    this.list = undefined;
    this.#call = call;
    this.#work = work;
    this.#services = services;
    this.#id = services.slotQueue.newEntryId();
    this.#enqueuedAt = 0;
    this.#grant = undefined;
    this.#target = undefined;
    this.#deadline = undefined;
    this.#kind = undefined;
    this.#attempt = undefined;
  }

  /** The work has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What this try takes along: where the request is traced, in the try's own span. */
  get along(): Along | undefined {
    const { along, trace } = this.#call;
    const spanId = this.#attempt?.spanId;
    if (along === undefined || trace.traceContext === undefined || spanId === undefined) return along;
    const { requestId, hops, tracestate, client, priority, receivedAt, deadlineAt } = along;
    const traceparent = trace.traceContext.traceparent(spanId);
    return { requestId, hops, traceparent, tracestate, client, priority, receivedAt, deadlineAt };
  }

  describe(): DescribedCaller {
    const { request, trace, cancellation, client, priority } = this.#call;
    const { attempts } = trace;
    const tries = attempts?.length ?? 0;
    return {
      id: this.#id,
      model: request.model,
      trace,
      cancellation,
      client,
      priority,
      promptTokens: this.#work.used.promptTokens || this.#work.promptSize.tokens,
      enqueuedAt: this.#enqueuedAt,
      attempt: this.#attempt === undefined ? tries + 1 : tries,
    };
  }

  /** While its work runs. */
  progress(): SlotProgress | undefined {
    const attempt = this.#attempt;
    if (attempt === undefined) return undefined;
    const { firstTokenAt, used } = this.#work;
    return { attempt, firstTokenAt, answerTokens: used.answerTokens };
  }

  acquire(next: NextTry | undefined): void {
    const {
      request,
      trace,
      cancellation,
      client,
      priority,
      heldBytes = 0,
      deadlineAt,
      onQueuePosition,
    } = this.#call;
    const { clock, slotQueue, queueTimeoutMs, retries } = this.#services;
    // What is tried again was admitted.
    const admission = next === undefined ? this.#call.admission : undefined;
    const { promptSize, prefix } = this.#work;
    const { maxTokens, maxTokensIsDefault = false } = request.limits;
    const enqueuedAt = clock.now();
    this.#enqueuedAt = enqueuedAt;
    trace.consumed ??= new Consumption();
    if (next === undefined) {
      trace.model = request.model;
      trace.priority = priority;
      trace.enqueuedAt = enqueuedAt;
      onceAdmitted(admission, () => retries.budget.requested(enqueuedAt));
    } else {
      this.#kind = next.kind;
    }
    if (cancellation.reason !== undefined) {
      this.#reject(cancellation.reason);
      return;
    }
    cancellation.onCancel(this.#onCancel);
    const entry = {
      id: this.#id,
      model: request.model,
      client,
      priority,
      promptTokens: promptSize.tokens,
      maxTokens,
      maxTokensIsDefault,
      prefix,
      sizeBytes: Math.max(promptSize.bytes, heldBytes),
      expiresAt: Math.min(enqueuedAt + queueTimeoutMs, deadlineAt),
      deadlineAt,
      retry: next?.place,
    };
    if (next === undefined) trace.queued = entry;
    slotQueue.enter(entry, this, { onPosition: onQueuePosition, admission });
  }

  granted(grant: Grant): void {
    const { request, trace, cancellation, deadlineAt } = this.#call;
    const { clock, findTarget } = this.#services;
    const now = clock.now();
    const attempt: Attempt = {
      target: grant.target,
      slot: grant.slot,
      model: request.model,
      enqueuedAt: this.#enqueuedAt,
      startedAt: now,
      batch: grant.batch,
      kind: this.#kind,
      after: this.#kind === undefined ? undefined : trace.attempts?.at(-1)?.failure,
      failure: undefined,
      firstTokenAt: undefined,
      endedAt: undefined,
      outcome: undefined,
      spanId: trace.traceContext?.newSpanId(),
    };
    this.#grant = grant;
    this.#attempt = attempt;
    trace.dispatchedAt ??= now;
    trace.batch ??= grant.batch;
    trace.target = grant.target;
    if (trace.attempts === undefined) trace.attempts = [attempt];
    else trace.attempts.push(attempt);
    trace.consumed?.begun(attempt, this.#work);
    trace.spanNotes?.tries.push({ attempt, trace, used: this.#work.used });
    if (request.model !== trace.model) trace.servedModel = request.model;
    this.#deadline = clock.schedule(deadlineAt - now, () =>
      cancellation.cancel(deadlineError(this.#work.deadlineAdvice)),
    );
    const target = findTarget(request.model, grant.target);
    this.#target = target;
    this.#services.running.append(this);
    this.#work.start(target, this);
  }

  rejected(error: ServingError): void {
    const { model } = this.#call.request;
    const isMissing = error.code === 'no_backend_available' && this.#services.isMissing(model);
    this.#reject(isMissing ? missingAtBackends(model) : error);
  }

  /** The answer has begun, where it does not come in one piece. */
  noteFirstToken(at: Milliseconds): void {
    if (this.#attempt !== undefined && this.#call.trace.unstreamed !== true) this.#attempt.firstTokenAt = at;
  }

  /** The work has succeeded. `free` settles when the backend holds nothing of it; absent: it holds nothing now. */
  complete(free?: Promise<unknown>): void {
    if (this.#isOver) return;
    const now = this.#services.clock.now();
    this.#consumed(now, true);
    this.#settle('completed', free);
    this.#report(undefined, now);
  }

  /** The work has failed, or was cancelled. `free` as for `complete`. */
  fail(failure: ServingError, free?: Promise<unknown>): void {
    if (this.#isOver) return;
    const { reason } = this.#call.cancellation;
    const error = reason ?? failure;
    const now = this.#services.clock.now();
    this.#consumed(now, reason !== undefined || this.#work.hasBegun);
    this.#settle(error.failure === undefined ? 'cancelled' : 'failed', free);
    this.#report(error, now);
    this.#work.failed(error);
  }

  #consumed(now: Milliseconds, costs: boolean): void {
    const attempt = this.#attempt;
    if (attempt !== undefined) this.#call.trace.consumed?.add({ attempt, used: this.#work.used, now, costs });
  }

  #report(error: ServingError | undefined, now: Milliseconds): void {
    const target = this.#target;
    const attempt = this.#attempt;
    const { trace } = this.#call;
    if (target === undefined || attempt === undefined) return;
    attempt.failure = error?.failure;
    attempt.outcome = outcomeOf(error);
    attempt.endedAt = now;
    this.#services.onAttemptEnded(target, error, { attempt, trace });
  }

  readonly #onCancel = (reason: ServingError): void => {
    if (this.#grant !== undefined) {
      this.#work.cancel(reason);
      return;
    }
    this.#services.slotQueue.leave(this.#id);
    this.#reject(reason);
  };

  #reject(error: ServingError): void {
    const { trace } = this.#call;
    const now = this.#services.clock.now();
    const waitedMs = now - this.#enqueuedAt;
    this.#isOver = true;
    trace.unservedWaitMs = (trace.unservedWaitMs ?? 0) + waitedMs;
    trace.spanNotes?.unserved.push({
      model: this.#call.request.model,
      enqueuedAt: this.#enqueuedAt,
      endedAt: now,
      code: error.code,
    });
    this.#call.cancellation.off(this.#onCancel);
    this.#work.failed(error);
  }

  #settle(outcome: Outcome, free: Promise<unknown> | undefined): void {
    const grant = this.#grant;
    this.#isOver = true;
    this.#grant = undefined;
    this.#services.running.remove(this);
    this.#call.cancellation.off(this.#onCancel);
    this.#deadline?.cancel();
    if (grant === undefined) return;
    const isTimed = this.#call.trace.unstreamed !== true;
    const settlement = settlementOf(outcome, this.#work, { attempt: this.#attempt, isTimed });
    if (free === undefined) grant.release(settlement);
    else releaseWhenFree({ grant, settlement, free, clock: this.#services.clock });
  }
}

function outcomeOf(error: ServingError | undefined): AttemptOutcome {
  if (error === undefined) return 'completed';
  return error.failure ?? (CANCELLATIONS.has(error.code) ? 'cancelled' : 'rejected');
}

function settlementOf(
  outcome: Outcome,
  { used: { promptTokens, cachedTokens, answerTokens }, firstTokenAt, isCut }: SlotWork,
  { attempt, isTimed }: { readonly attempt: Attempt | undefined; readonly isTimed: boolean },
): Settlement {
  return {
    outcome,
    promptTokens,
    cachedTokens,
    answerTokens,
    isCut,
    firstTokenMs:
      isTimed && attempt !== undefined && firstTokenAt !== undefined
        ? firstTokenAt - attempt.startedAt
        : undefined,
  };
}

/** In the background: the caller has its answer or error already. */
function releaseWhenFree(held: {
  readonly grant: Grant;
  readonly settlement: Settlement;
  readonly free: Promise<unknown>;
  readonly clock: Clock;
}): void {
  const { grant, settlement, free, clock } = held;
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    limit.cancel();
    grant.release(settlement);
  };
  const limit = clock.schedule(MAX_RELEASE_DELAY_MS, release);
  free.then(release, release);
}

/** Not retryable: the model has to be fetched there, or another one named. */
function missingAtBackends(model: ModelId): ServingError {
  return new ServingError('model_not_found', {
    message: `No backend has the model behind ${JSON.stringify(model)}. GET /ready lists the backends; fetch the model there.`,
    param: 'model',
  });
}
