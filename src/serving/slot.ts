/**
 * The slot of one call, be it a generation or an embedding: the wait for it, the time it may take, its end. Invariants: its
 * holder is told one of a grant and a rejection; a slot that was granted is given back exactly once, and only when the
 * backend is really free of the request (or a second after its end).
 */

import type { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { GenerationRequest, ModelId } from '../core/generation.ts';
import type { Priority } from '../core/priority.ts';
import type { QueuePosition, RequestTrace } from '../core/request-trace.ts';
import type { EntryId, Settlement } from '../scheduling/decision.ts';
import type { PrefixFingerprint } from '../scheduling/prefix-fingerprint.ts';
import type { Dispatcher, Grant, SlotCaller } from './dispatcher.ts';
import type { PromptSize } from './prompt-size.ts';
import type { Target } from './targets.ts';

export interface SlotCall {
  /** What the queue has to know of it, whatever it asks of the model. */
  readonly request: Pick<GenerationRequest, 'model' | 'limits'>;
  readonly trace: RequestTrace;
  /** Whoever shares the slots with others; opaque. */
  readonly client: string;
  readonly priority: Priority;
  readonly cancellation: Cancellation;
  /** What it takes up in memory while it waits, where that is more than its prompt: its body as it came. */
  readonly heldBytes?: number;
  /** When the answer must be finished. */
  readonly deadlineAt: Milliseconds;
  /** Told where the request stands while it waits, and 0 when it leaves the queue. */
  readonly onQueuePosition?: ((place: QueuePosition) => void) | undefined;
}

export interface SlotServices {
  readonly clock: Clock;
  readonly dispatcher: Dispatcher;
  readonly queueTimeoutMs: Milliseconds;
  findTarget(model: ModelId, id: string): Target;
  /** None of the model's targets has it. */
  isMissing(model: ModelId): boolean;
  /** A backend failed a request: look at it now rather than at the next probe. */
  onBackendFailure(target: Target, error: ServingError): void;
}

export interface SlotDemand {
  readonly promptSize: PromptSize;
  /** What the prompt begins with, where that matters to the slots. */
  readonly prefix: PrefixFingerprint | undefined;
}

export interface SlotHolder {
  granted(target: Target): void;
  /** There will be no slot: the scheduler has refused, or the request was cancelled while it waited. */
  rejected(error: ServingError): void;
  /** The request was cancelled while it held the slot. */
  cancelled(reason: ServingError): void;
  /** What helps next time, where its time runs out. */
  readonly deadlineAdvice: string;
}

const MAX_RELEASE_DELAY_MS = 1000;

export class Slot implements SlotCaller {
  readonly #call: SlotCall;
  readonly #holder: SlotHolder;
  readonly #services: SlotServices;
  readonly #id: EntryId;
  #grant: Grant | undefined;
  #deadline: Timer | undefined;

  constructor(call: SlotCall, holder: SlotHolder, services: SlotServices) {
    this.#call = call;
    this.#holder = holder;
    this.#services = services;
    this.#id = services.dispatcher.newEntryId();
  }

  /** To be called once. */
  waitFor({ promptSize, prefix }: SlotDemand): void {
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
    const { clock, dispatcher, queueTimeoutMs } = this.#services;
    const { maxTokens, maxTokensIsDefault = false } = request.limits;
    const enqueuedAt = clock.now();
    trace.model = request.model;
    trace.priority = priority;
    trace.enqueuedAt = enqueuedAt;
    if (cancellation.reason !== undefined) {
      this.#holder.rejected(cancellation.reason);
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
    };
    dispatcher.enter(entry, this, onQueuePosition);
  }

  granted(grant: Grant): void {
    const { request, trace, cancellation, deadlineAt } = this.#call;
    const { clock, findTarget } = this.#services;
    const now = clock.now();
    this.#grant = grant;
    trace.dispatchedAt = now;
    trace.batch = grant.batch;
    trace.target = grant.target;
    this.#deadline = clock.schedule(deadlineAt - now, () =>
      cancellation.cancel(deadlineError(this.#holder.deadlineAdvice)),
    );
    this.#holder.granted(findTarget(request.model, grant.target));
  }

  rejected(error: ServingError): void {
    const { request, cancellation } = this.#call;
    cancellation.off(this.#onCancel);
    const isMissing = error.code === 'no_backend_available' && this.#services.isMissing(request.model);
    this.#holder.rejected(isMissing ? missingAtBackends(request.model) : error);
  }

  /** Gives it back, when `free` settles: then the backend holds nothing of the request. Absent: it does not. */
  release(settlement: Settlement, free?: Promise<unknown>): void {
    const grant = this.#grant;
    this.#grant = undefined;
    this.#call.cancellation.off(this.#onCancel);
    this.#deadline?.cancel();
    if (grant === undefined) return;
    if (free === undefined) grant.release(settlement);
    else releaseWhenFree({ grant, settlement, free, clock: this.#services.clock });
  }

  readonly #onCancel = (reason: ServingError): void => {
    if (this.#grant !== undefined) {
      this.#holder.cancelled(reason);
      return;
    }
    this.#services.dispatcher.leave(this.#id);
    this.#holder.rejected(reason);
  };
}

export function isBackendFault({ code }: ServingError): boolean {
  return code === 'backend_error' || code === 'no_backend_available' || code === 'model_not_found';
}

/** `advice`: what helps next time. */
export function deadlineError(advice: string): ServingError {
  return new ServingError('deadline_exceeded', {
    message: `The answer was not finished before the request’s time ran out. ${advice}`,
  });
}

/** In the background: the caller has its answer or error already and waits for nothing. */
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
    atLatest.cancel();
    grant.release(settlement);
  };
  const atLatest = clock.schedule(MAX_RELEASE_DELAY_MS, release);
  free.then(release, release);
}

/** Trying again is of no use: somebody has to fetch it, or to name another. */
function missingAtBackends(model: ModelId): ServingError {
  return new ServingError('model_not_found', {
    message: `No backend has the model that ${JSON.stringify(model)} stands for. GET /ready says which were asked; fetch the model there.`,
    param: 'model',
  });
}
