/**
 * One try of a generation: it waits for a slot, runs at the target there, and passes the backend's events on to its owner. Every event
 * is handled in the turn of the event loop in which the backend brought it. Invariant: it ends exactly once, by `finish` or `failed`.
 */
import type {
  CacheIsolation,
  GenerateOptions,
  Generation,
  GenerationSink,
  LoadReport,
} from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import { withoutRedundantFormat } from '../core/features.ts';
import { type GenerationEvent, type GenerationRequest, hasOwnBound } from '../core/generation.ts';
import type { PrefixFingerprint } from '../scheduling/prefix-fingerprint.ts';
import { dropUnsupported } from './drop-unsupported.ts';
import { ProgressWatch, silenceLimits } from './progress-watch.ts';
import type { PromptSize } from './prompt-size.ts';
import type { NextTry } from './retries.ts';
import { type Slot, type SlotCall, type SlotServices, type SlotWork, withSlot } from './slot.ts';
import type { Target } from './targets.ts';
import { TokenCount } from './token-count.ts';

export interface GenerationCall extends SlotCall, Pick<GenerateOptions, 'delivery' | 'promptTokensFirst'> {
  readonly request: GenerationRequest;
}

export interface GenerationServices extends SlotServices {
  /** Undefined where none of the model's targets caches prefixes. */
  cacheIsolationOf(model: string): CacheIsolation | undefined;
  /** Each client reuses only its own cached prompts there. */
  isolatesClients(target: Target): boolean;
  /** Another target, or a fallback model, might answer in place of one of the model's targets. */
  hasAlternatives(model: string): boolean;
  /** Prompts of this model that begin alike go to the same target. */
  routesByPrefix(model: string): boolean;
  /** Settings that a backend does not support are dropped instead of refused. */
  readonly dropUnsupported: boolean;
  /** Between two tokens of one generation. */
  onTokenGap(model: string, gapMs: Milliseconds, target: string | undefined): void;
  /** `isFirst`: of the attempt. */
  onMalformedEvent(target: Target, event: { readonly requestId: string; readonly isFirst: boolean }): void;
  /** Whether broken streams go on. Read with every stream: it may change while the server runs. */
  readonly resume: () => 'auto' | 'off';
}

export interface BegunAnswer {
  /** Not another of the same name: a reload may have given it another model. */
  readonly target: Target;
  readonly tokens: readonly number[];
}

/** The generation that the attempt is made for. */
export interface AttemptOwner {
  readonly promptSize: PromptSize;
  readonly prefix: PrefixFingerprint | undefined;
  /** The client cannot take more for now. */
  readonly isPaused: boolean;
  /** The answer begins with these tokens, at that target only. */
  readonly begun: BegunAnswer | undefined;
  /** In order, up to `finish`. */
  event(event: GenerationEvent, now: Milliseconds): void;
  /** The attempt has ended without `finish`: `target` failed it; undefined: it got no slot. */
  attemptFailed(error: ServingError, target: Target | undefined): void;
  /** Another target could take the request now. */
  canMoveOn(from: Target): boolean;
}

export class GenerationAttempt implements GenerationSink, SlotWork {
  readonly used = new TokenCount();
  readonly deadlineAdvice = 'Ask for fewer tokens or allow more time.';
  readonly #call: GenerationCall;
  readonly #owner: AttemptOwner;
  readonly #services: GenerationServices;
  #slot: Slot | undefined;
  #target: Target | undefined;
  #request: GenerationRequest;
  #generation: Generation | undefined;
  #watch: ProgressWatch | undefined;
  #firstTokenAt: Milliseconds | undefined;
  #hasBegun = false;
  #isCut = false;

  constructor(call: GenerationCall, owner: AttemptOwner, services: GenerationServices) {
    this.#call = call;
    this.#owner = owner;
    this.#services = services;
    this.#slot = undefined;
    this.#target = undefined;
    this.#request = call.request;
    this.#generation = undefined;
    this.#watch = undefined;
    this.#firstTokenAt = undefined;
  }

  get promptSize(): PromptSize {
    return this.#owner.promptSize;
  }

  get prefix(): PrefixFingerprint | undefined {
    return this.#owner.prefix;
  }

  /** As the backend was asked, without what was dropped. */
  get request(): GenerationRequest {
    return this.#request;
  }

  /** Those of the answer, where they can be given to another attempt at the same target. */
  get tokens(): readonly number[] | undefined {
    return this.#generation?.tokens;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  get firstTokenAt(): Milliseconds | undefined {
    return this.#firstTokenAt;
  }

  /** Begins to wait in the queue. */
  enqueue(next?: NextTry): void {
    withSlot(this.#call, this, this.#services, next);
  }

  pause(): void {
    this.#generation?.pause();
    this.#watch?.paused();
  }

  resume(): void {
    this.#generation?.resume();
    if (!this.#slot?.isOver) this.#watch?.waiting();
  }

  start(target: Target, slot: Slot): void {
    const { clock } = this.#services;
    const limits = silenceLimits(this.#call.request, target);
    this.#slot = slot;
    this.#target = target;
    // Ends this attempt alone: the request may be tried elsewhere.
    this.#watch = new ProgressWatch({ clock, limits, onSilence: (error) => this.#generation?.cancel(error) });
    this.used.begin(this.promptSize.tokens);
    this.#ask(target);
  }

  cancel(reason: ServingError): void {
    this.#generation?.cancel(reason);
  }

  /** Its owner needs nothing more of it. */
  abandon(): void {
    this.#generation?.cancel(new ServingError('client_gone'));
  }

  failed(error: ServingError): void {
    this.#watch?.stop();
    this.#owner.attemptFailed(error, this.#target);
  }

  event(reported: GenerationEvent): void {
    const slot = this.#slot;
    if (slot === undefined || slot.isOver) return;
    const { trace } = this.#call;
    const isBeyondLimit = this.#isBeyondLimit(reported);
    const event = isBeyondLimit ? this.#endAtLimit() : reported;
    const now = this.#services.clock.now();
    this.#hasBegun = true;
    this.used.note(event);
    if (event.type !== 'start') {
      if (this.#firstTokenAt === undefined) {
        this.#firstTokenAt = now;
        slot.noteFirstToken(now);
      }
      trace.firstTokenAt ??= now;
    }
    this.#watch?.progressed(now, { isToken: event.type !== 'start' });
    if (event.type === 'finish') {
      this.#watch?.stop();
      this.#isCut = event.reason === 'length' && hasOwnBound(this.#call.request.limits);
      // Before its client has the answer, and may ask again. One that ended by itself leaves nothing at the backend.
      slot.complete(isBeyondLimit ? this.#generation?.released : undefined);
    }
    this.#owner.event(event, now);
    if (isBeyondLimit) this.#generation?.cancel(new ServingError('client_gone'));
  }

  fail(error: ServingError): void {
    const slot = this.#slot;
    const target = this.#target;
    if (slot === undefined || target === undefined || slot.isOver) return;
    const request = this.#requestWithout(error, target);
    if (request === undefined) {
      slot.fail(error, this.#generation?.released);
      return;
    }
    this.#request = request;
    this.#ask(target);
  }

  #ask(target: Target): void {
    const { begun } = this.#owner;
    if (begun !== undefined && begun.target !== target) {
      this.fail(new ServingError('backend_error', { failure: 'unsupported' }));
      return;
    }
    const { trace, client, promptTokensFirst = false } = this.#call;
    const onUnstreamed = () => {
      trace.unstreamed = true;
      this.#watch?.expectWhole(target.answerTimeoutMs);
    };
    let isFirst = true;
    const onMalformedEvent = () => {
      this.#services.onMalformedEvent(target, { requestId: trace.requestId, isFirst });
      isFirst = false;
    };
    const options = {
      delivery: this.#deliveryFrom(target),
      promptTokensFirst,
      onUnstreamed,
      onMalformedEvent,
      along: this.#slot?.along,
      onLoad: (load: LoadReport) => this.#services.slotQueue.reportLoad(target, load),
      ...(this.#services.isolatesClients(target) && { cacheScope: client }),
      ...(begun !== undefined && { begunWith: begun.tokens }),
    };
    this.#watch?.waiting();
    try {
      this.#generation = target.backend.generate(withoutRedundantFormat(this.#request), this, options);
    } catch (thrown) {
      // A backend never throws here; a bug in one must not reach the others that were granted a slot in this turn.
      this.fail(toServingError(thrown));
      return;
    }
    if (!this.#owner.isPaused) return;
    this.#generation.pause();
    this.#watch?.paused();
  }

  /**
   * In one piece only where that piece has a time limit of its own, or nothing else could answer: of a target that is silent until the
   * whole answer is there, nobody can tell whether it works or hangs (decision 0052).
   */
  #deliveryFrom({ answerTimeoutMs }: Target): 'whole' | 'stream' {
    const { delivery, request } = this.#call;
    if (delivery !== 'whole') return 'stream';
    const mustBeSeen = answerTimeoutMs === undefined && this.#services.hasAlternatives(request.model);
    return mustBeSeen ? 'stream' : 'whole';
  }

  /**
   * The request without the field that the backend refused before its first event; undefined: the refusal ends the attempt. A setting is
   * dropped only where no other target is left that may support it.
   */
  #requestWithout(refusal: ServingError, target: Target): GenerationRequest | undefined {
    const { trace, cancellation } = this.#call;
    if (this.#hasBegun || cancellation.reason !== undefined) return undefined;
    const optional = dropUnsupported(this.#request, refusal, { trace, droppable: 'optional' });
    if (optional !== undefined || !this.#services.dropUnsupported) return optional;
    if (refusal.failure === 'unsupported' && this.#owner.canMoveOn(target)) return undefined;
    return dropUnsupported(this.#request, refusal, { trace, droppable: 'settings' });
  }

  /** Other software may ignore `maxTokens`: it is stopped there. */
  #isBeyondLimit({ type }: GenerationEvent): boolean {
    if (type === 'start' || type === 'finish' || this.#target?.embedded) return false;
    const { maxTokens } = this.#call.request.limits;
    return maxTokens !== undefined && this.used.answerTokens >= maxTokens;
  }

  /** With the usage as far as it is known: the backend's own count would have come at the end. */
  #endAtLimit(): GenerationEvent {
    const { promptTokens, cachedTokens, answerTokens } = this.used;
    const usage = { promptTokens, cachedTokens, completionTokens: answerTokens };
    return { type: 'finish', reason: 'length', usage };
  }
}
