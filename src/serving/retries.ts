/**
 * What is tried after a request has failed at a target, until it succeeds or has to fail: another target, a fallback model, or the same
 * target after a pause. Made for one request when its first try has failed. Invariant: every failure is followed by exactly one of
 * `again` and `fail`; while it pauses, the request holds no slot and no place in the queue.
 */
import type { Ability } from '../core/backend.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { ErrorCode, ServingError } from '../core/errors.ts';
import { type FailureCause, meaningOf } from '../core/failure.ts';
import type { ModelId } from '../core/generation.ts';
import type { Priority } from '../core/priority.ts';
import type { RequestTrace, RetryKind } from '../core/request-trace.ts';
import type { Alternative, RetryPlace, TargetId } from '../scheduling/decision.ts';
import type { LinkedList, ListNode } from '../scheduling/linked-list.ts';
import type { RetryBudget } from '../scheduling/retry-budget.ts';
import { decideRetry, isSilence, triesAtModel } from '../scheduling/retry-policy.ts';
import { deadlineError } from './deadline-error.ts';
import type { SlotQueue } from './slot-queue.ts';
import type { Target } from './targets.ts';

/** Where a request is tried next. */
export interface NextTry {
  readonly model: ModelId;
  readonly kind: RetryKind;
  /** Undefined: it waits in the queue as a new request does, as it had no turn in this one. */
  readonly place: RetryPlace | undefined;
}

/** A request between two tries. */
export interface RetryPause extends ListNode<RetryPause> {
  readonly call: RetriedCall;
  readonly model: ModelId;
  readonly since: Milliseconds;
  readonly endsAt: Milliseconds;
}

export interface RetryServices {
  readonly clock: Clock;
  readonly slotQueue: SlotQueue;
  /** Those that go on now, for GET /live. */
  readonly pauses: LinkedList<RetryPause>;
  readonly retries: {
    /** Read with every decision: it may change while the server runs. */
    readonly maxTries: () => number;
    readonly budget: RetryBudget;
    /** From 0 up to, not including, 1. */
    readonly random: () => number;
    /** `allowed`: the models that the key of the request may use; undefined: all. */
    fallbacksOf(model: ModelId, allowed?: readonly string[]): readonly ModelId[];
    /** Why the model cannot answer such a request; undefined: it may be asked. */
    whyUnable(model: ModelId, needs: readonly Ability[]): string | undefined;
    onFallbackSkipped(skipped: {
      readonly model: ModelId;
      readonly fallback: ModelId;
      readonly requestId: string;
      readonly reason: string;
    }): void;
  };
}

interface RetriedCall {
  readonly request: { readonly model: ModelId };
  readonly trace: RequestTrace;
  readonly client: string;
  readonly priority: Priority;
  readonly cancellation: Cancellation;
  readonly deadlineAt: Milliseconds;
}

interface RetriedRequest {
  /** Only its own model can answer it. */
  readonly isTiedToModel: boolean;
  /** Completes the message of the deadline's error. */
  readonly deadlineAdvice: string;
  readonly needs: readonly Ability[];
  again(next: NextTry): void;
  fail(error: ServingError): void;
}

/** The model has no target that serves, or none soon enough: another model may answer. */
const UNSERVED: ReadonlySet<ErrorCode> = new Set([
  'no_backend_available',
  'model_not_found',
  'model_loading',
]);

/** In a long pause, whether another target has come up. */
const LOOK_EVERY_MS = 500;
/** Where all targets are gone: for so long it is looked whether one is back. A server that is restarted is, within seconds. */
const RETURN_WITHIN_MS = 5000;

export class Retries {
  readonly #call: RetriedCall;
  readonly #services: RetryServices;
  readonly #request: RetriedRequest;
  /** The model that is being asked. */
  #model: ModelId;
  #fallbacks: ModelId[];
  /** Targets of that model that have failed the request. */
  readonly #failed = new Set<TargetId>();
  /** Of those, the ones that never get it again. */
  readonly #barred = new Set<TargetId>();
  #minContextSize: number | undefined;
  /** How often a target was asked. */
  #tries = 0;
  /** How often the queue of `#model` had no target for the request after it had failed. */
  #rejections = 0;
  #silences = 0;
  /** When the queue first had no target for it, after it had been tried. */
  #goneSince: Milliseconds | undefined;
  #last: { readonly error: ServingError; readonly cause: FailureCause } | undefined;

  constructor(call: RetriedCall, services: RetryServices, request: RetriedRequest) {
    this.#call = call;
    this.#services = services;
    this.#request = request;
    this.#model = call.request.model;
    this.#fallbacks = [...services.retries.fallbacksOf(call.request.model, call.trace.caller?.models)];
    this.#minContextSize = undefined;
    this.#goneSince = undefined;
    this.#last = undefined;
  }

  /** A try has ended without success: `target` failed it; undefined: the queue rejected it. */
  failed(error: ServingError, target: Target | undefined): void {
    if (target === undefined) {
      this.#rejected(error);
      return;
    }
    const cause = error.failure;
    this.#note(cause, target);
    if (cause === undefined) this.#request.fail(error);
    else this.#decide({ error, cause }, waitAskedFor(error));
  }

  /** From now on no other model is asked. */
  keepModel(): void {
    this.#fallbacks = [];
  }

  /** Another target of the model could take the request now, instead of `from`. */
  canMoveOn(from: Target): boolean {
    if (this.#tries + 1 >= this.#triesAtModel(this.#nextFallback())) return false;
    return this.#alternative({ avoid: new Set([...this.#failed, from.id]) })?.inService === true;
  }

  #note(cause: FailureCause | undefined, target: Target): void {
    this.#tries += 1;
    if (cause === undefined) return;
    this.#failed.add(target.id);
    if (meaningOf(cause).retry !== 'any') this.#barred.add(target.id);
    if (isSilence(cause)) this.#silences += 1;
    if (cause === 'context_too_small')
      this.#minContextSize = Math.max(this.#minContextSize ?? 0, (target.status.contextSize ?? 0) + 1);
  }

  /** The queue gave it no slot. After a failure, what follows is decided by the cause of that one. */
  #rejected(error: ServingError): void {
    const last = this.#last;
    if (!UNSERVED.has(error.code)) {
      const isLate = this.#services.clock.now() >= this.#call.deadlineAt && last !== undefined;
      this.#request.fail(isLate ? deadlineError(this.#request.deadlineAdvice) : (last?.error ?? error));
      return;
    }
    if (last !== undefined) {
      if (this.#isWorthWaiting(last.cause)) {
        this.#pause(LOOK_EVERY_MS);
        return;
      }
      this.#rejections += 1;
      this.#decide(last, undefined);
      return;
    }
    const fallback = this.#nextFallback();
    this.#reportSkipped(fallback);
    if (fallback === undefined) this.#request.fail(error);
    else this.#askModel(fallback);
  }

  /** No target of any model is left that could take it, but one of its own may only have been restarted. */
  #isWorthWaiting(cause: FailureCause): boolean {
    const { clock, retries } = this.#services;
    const now = clock.now();
    this.#goneSince ??= now;
    const isInTime = now < Math.min(this.#goneSince + RETURN_WITHIN_MS, this.#call.deadlineAt);
    if (!isInTime || meaningOf(cause).retry !== 'any' || this.#tries >= retries.maxTries()) return false;
    return this.#alternative({ avoid: this.#barred }) === undefined && this.#nextFallback() === undefined;
  }

  /** What another target offers, by default of the model that is being asked, and past those that have failed the request. */
  #alternative({
    model = this.#model,
    avoid = this.#failed,
    awaitsTrial = false,
  }: {
    readonly model?: ModelId;
    readonly avoid?: ReadonlySet<TargetId>;
    readonly awaitsTrial?: boolean;
  } = {}): Alternative | undefined {
    const needs = { avoid, minContextSize: this.#minContextSize, awaitsTrial };
    return this.#services.slotQueue.alternative(model, needs);
  }

  #decide(
    failure: { readonly error: ServingError; readonly cause: FailureCause },
    retryAfterMs: Milliseconds | undefined,
  ): void {
    const { error, cause } = failure;
    const { clock, retries } = this.#services;
    const now = clock.now();
    this.#last = failure;
    const mayReturn = this.#failed.size > this.#barred.size;
    const fallback = this.#nextFallback();
    const decision = decideRetry({
      cause,
      tries: this.#tries,
      maxTries: retries.maxTries(),
      rejections: this.#rejections,
      silences: this.#silences,
      // To wait for a trial is better than an error.
      other: this.#alternative({ awaitsTrial: !mayReturn && fallback === undefined }),
      mayReturn,
      hasFallbackModel: fallback !== undefined,
      timeLeftMs: this.#call.deadlineAt - now,
      retryAfterMs,
      hasBudget: retries.budget.allows(now),
      random: retries.random(),
    });
    switch (decision.type) {
      case 'elsewhere':
        if (decision.isCharged) retries.budget.retried(now);
        this.#again('elsewhere', this.#failed);
        return;
      case 'here':
        retries.budget.retried(now);
        this.#pause(decision.afterMs);
        return;
      case 'other-model':
        this.#reportSkipped(fallback);
        if (fallback !== undefined) this.#askModel(fallback);
        return;
      case 'fail':
        this.#reportSkipped(undefined);
        if (decision.lacksBudget) this.#call.trace.lackedRetryBudget = true;
        this.#request.fail(error);
        return;
      default:
        throw decision satisfies never;
    }
  }

  /** Ends early when another target comes up, and with the request's cancellation. */
  #pause(afterMs: Milliseconds): void {
    const { clock, pauses } = this.#services;
    const { cancellation } = this.#call;
    const since = clock.now();
    const endsAt = since + afterMs;
    const pause: RetryPause = {
      call: this.#call,
      model: this.#model,
      since,
      endsAt,
      previous: undefined,
      next: undefined,
      list: undefined,
    };
    pauses.append(pause);
    const look = () => {
      const isElsewhere = this.#alternative() !== undefined;
      if (!isElsewhere && clock.now() < endsAt) {
        timer = clock.schedule(Math.min(LOOK_EVERY_MS, endsAt - clock.now()), look);
        return;
      }
      cancellation.off(onCancel);
      pauses.remove(pause);
      if (isElsewhere) this.#again('elsewhere', this.#failed);
      else this.#again('here', this.#barred);
    };
    let timer = clock.schedule(Math.min(LOOK_EVERY_MS, afterMs), look);
    const onCancel = (reason: ServingError) => {
      timer.cancel();
      pauses.remove(pause);
      this.#request.fail(reason);
    };
    cancellation.onCancel(onCancel);
  }

  #again(kind: RetryKind, avoid: ReadonlySet<TargetId>): void {
    const firstQueuedAt = this.#call.trace.enqueuedAt ?? 0;
    const fallback = this.#nextFallback();
    const isLast = this.#tries + this.#rejections + 1 >= this.#triesAtModel(fallback);
    const place = {
      avoid: new Set(avoid),
      minContextSize: this.#minContextSize,
      firstQueuedAt,
      // Otherwise it would have to fail if the queue rejected it.
      awaitsTrial: fallback === undefined && (isLast || this.#failed.size === this.#barred.size),
    };
    this.#request.again({ model: this.#model, kind, place });
  }

  #askModel(model: ModelId): void {
    this.#fallbacks.splice(0, this.#fallbacks.indexOf(model) + 1);
    this.#model = model;
    this.#rejections = 0;
    this.#failed.clear();
    this.#barred.clear();
    if (this.#minContextSize === undefined)
      this.#request.again({ model, kind: 'other_model', place: undefined });
    else this.#again('other_model', this.#failed);
  }

  #triesAtModel(fallback: ModelId | undefined): number {
    return triesAtModel(this.#services.retries.maxTries(), fallback !== undefined);
  }

  /** The first of the fallback models that can answer. */
  #nextFallback(): ModelId | undefined {
    return this.#fallbacks.find((model) => this.#whyNot(model) === undefined);
  }

  #whyNot(model: ModelId): string | undefined {
    if (this.#request.isTiedToModel) return 'the request has token ids, which are others in its vocabulary';
    const unable = this.#services.retries.whyUnable(model, this.#request.needs);
    if (unable !== undefined) return unable;
    if (this.#alternative({ model })?.inService) return undefined;
    return this.#minContextSize === undefined
      ? 'none of its targets can serve now'
      : `none of its targets that can serve now has a context of ${this.#minContextSize} tokens or more`;
  }

  /** Those before the one that is asked next. */
  #reportSkipped(next: ModelId | undefined): void {
    const { trace, request } = this.#call;
    for (const fallback of this.#fallbacks) {
      if (fallback === next) return;
      const reason = this.#whyNot(fallback);
      if (reason === undefined) continue;
      const { requestId } = trace;
      this.#services.retries.onFallbackSkipped({ model: request.model, fallback, requestId, reason });
    }
  }
}

/** By the server. Errors of other causes have a Retry-After of our own, for the client. */
function waitAskedFor({ failure, retryAfterSeconds }: ServingError): Milliseconds | undefined {
  if (failure !== 'rate_limited' && failure !== 'overloaded') return undefined;
  return retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000;
}
