/**
 * The way of one generation from queue to end: wait for a slot, run the backend, pass its events on, give the slot back. It
 * stands between backend and edge: all that happens to an event here happens in the turn in which the backend brought it.
 */

import type { CacheIsolation, GenerateOptions, Generation, GenerationSink } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import { type Droppable, withoutField, withoutRedundantFormat } from '../core/features.ts';
import type { GenerationEvent, GenerationRequest } from '../core/generation.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import type { Outcome, Settlement } from '../scheduling/decision.ts';
import { fingerprintOf } from '../scheduling/prefix-fingerprint.ts';
import { ProgressWatch, silenceLimits } from './progress-watch.ts';
import { type PromptSize, promptSizeOf } from './prompt-size.ts';
import { isBackendFault, Slot, type SlotCall, type SlotHolder, type SlotServices } from './slot.ts';
import type { Target } from './targets.ts';

export interface GenerationCall extends SlotCall, Pick<GenerateOptions, 'delivery' | 'promptTokensFirst'> {
  readonly request: GenerationRequest;
}

export interface GenerationServices extends SlotServices {
  /** Undefined where none of the model's targets caches prefixes for the scheduler to see to. */
  cacheIsolationOf(model: string): CacheIsolation | undefined;
  /** What a backend cannot honour is dropped rather than refused. */
  readonly lenient: boolean;
  /** Between two tokens of one generation. */
  onTokenGap(model: string, gapMs: Milliseconds): void;
}

/** Cancelled through the cancellation of its call. Its sink is told one end. */
export class ServedGeneration implements GenerationSink, SlotHolder {
  readonly deadlineAdvice = 'Ask for fewer tokens or allow more time.';
  readonly #call: GenerationCall;
  readonly #sink: GenerationSink;
  readonly #services: GenerationServices;
  readonly #slot: Slot;
  readonly #promptSize: PromptSize;
  readonly #used = new TokenCount();
  #target: Target | undefined;
  /** As the backend has been asked, without what was dropped. */
  #asked: GenerationRequest;
  #generation: Generation | undefined;
  #watch: ProgressWatch | undefined;
  #lastTokenAt: Milliseconds | undefined;
  #hasBegun = false;
  #hasEnded = false;
  #isPaused = false;

  constructor(call: GenerationCall, sink: GenerationSink, services: GenerationServices) {
    this.#call = call;
    this.#sink = sink;
    this.#services = services;
    this.#asked = call.request;
    this.#promptSize = promptSizeOf(call.request);
    this.#slot = new Slot(call, this, services);
  }

  start(): void {
    const prefix = prefixOf(this.#call, this.#services.cacheIsolationOf(this.#asked.model));
    this.#slot.waitFor({ promptSize: this.#promptSize, prefix });
  }

  /** The sink cannot take more for now. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#generation?.pause();
    this.#watch?.paused();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#generation?.resume();
    if (!this.#hasEnded) this.#watch?.waiting();
  }

  granted(target: Target): void {
    const { request, cancellation } = this.#call;
    const { clock } = this.#services;
    const limits = silenceLimits(request, target);
    this.#target = target;
    this.#watch = new ProgressWatch({ clock, limits, onSilence: (error) => cancellation.cancel(error) });
    this.#used.begin(this.#promptSize.tokens);
    this.#ask(target);
  }

  rejected(error: ServingError): void {
    this.#hasEnded = true;
    this.#sink.fail(error);
  }

  cancelled(reason: ServingError): void {
    this.#generation?.cancel(reason);
  }

  event(told: GenerationEvent): void {
    if (this.#hasEnded) return;
    const { trace, request } = this.#call;
    const isBeyondLimit = this.#isBeyondLimit(told);
    const event = isBeyondLimit ? this.#endAtLimit() : told;
    const now = this.#services.clock.now();
    this.#hasBegun = true;
    this.#used.note(event);
    if (event.type !== 'start') trace.firstTokenAt ??= now;
    this.#watch?.progressed(now, { isToken: event.type !== 'start' });
    if (event.type === 'text' || event.type === 'tool-arguments') {
      // Normally a token each: between them lies the inter-token latency.
      if (this.#lastTokenAt !== undefined) this.#services.onTokenGap(request.model, now - this.#lastTokenAt);
      this.#lastTokenAt = now;
    }
    if (event.type !== 'finish') {
      this.#sink.event(event);
      return;
    }
    trace.finishReason = event.reason;
    trace.usage = event.usage;
    this.#sink.event(event);
    if (isBeyondLimit) {
      this.#end('completed', this.#generation?.released);
      this.#generation?.cancel(new ServingError('client_gone'));
    } else {
      // It ended by itself: nothing is held any more.
      this.#end('completed');
    }
  }

  fail(told: ServingError): void {
    if (this.#hasEnded) return;
    const target = this.#target;
    const lesser = this.#lesserThan(told);
    if (lesser !== undefined && target !== undefined) {
      this.#asked = lesser;
      this.#ask(target);
      return;
    }
    const error = this.#call.cancellation.reason ?? told;
    const isFault = isBackendFault(error);
    this.#end(isFault ? 'failed' : 'cancelled', this.#generation?.released);
    if (isFault && target !== undefined) this.#services.onBackendFailure(target, error);
    this.#sink.fail(error);
  }

  #ask(target: Target): void {
    const { trace } = this.#call;
    const onUnstreamed = () => {
      trace.unstreamed = true;
      this.#watch?.expectWhole(target.answerTimeoutMs);
    };
    const { client, delivery = 'stream', promptTokensFirst = false } = this.#call;
    const options = {
      delivery,
      promptTokensFirst,
      onUnstreamed,
      ...(target.cacheIsolation === 'client' && { cacheScope: client }),
    };
    this.#watch?.waiting();
    try {
      this.#generation = target.backend.generate(withoutRedundantFormat(this.#asked), this, options);
    } catch (thrown) {
      // A mistake of ours, which must not reach those that were granted a slot in the same turn.
      this.fail(toServingError(thrown));
      return;
    }
    if (!this.#isPaused) return;
    this.#generation.pause();
    this.#watch?.paused();
  }

  /** What to ask for instead, without what the backend cannot honour. */
  #lesserThan(refusal: ServingError): GenerationRequest | undefined {
    if (this.#hasBegun) return undefined;
    const { trace, cancellation } = this.#call;
    if (cancellation.reason !== undefined) return undefined;
    const droppable = this.#services.lenient ? 'settings' : 'optional';
    return dropUnsupported({ asked: this.#asked, trace, droppable }, refusal);
  }

  #end(outcome: Outcome, free?: Promise<void>): void {
    this.#hasEnded = true;
    this.#watch?.stop();
    this.#slot.release(settlementOf(outcome, this.#used, this.#call.trace), free);
  }

  /** Other software may ignore `maxTokens`: it is stopped there. */
  #isBeyondLimit({ type }: GenerationEvent): boolean {
    if (type === 'start' || type === 'finish' || this.#target?.embedded) return false;
    const { maxTokens } = this.#call.request.limits;
    return maxTokens !== undefined && this.#used.answerTokens >= maxTokens;
  }

  /** With the usage as far as it is known: the backend's own count would have come at the end. */
  #endAtLimit(): GenerationEvent {
    const { promptTokens, cachedTokens, answerTokens } = this.#used;
    const usage = { promptTokens, cachedTokens, completionTokens: answerTokens };
    return { type: 'finish', reason: 'length', usage };
  }
}

function prefixOf({ request, client }: GenerationCall, isolation: CacheIsolation | undefined) {
  if (isolation === undefined) return undefined;
  // Templates write the tools in front of everything.
  const tools = request.tools === undefined ? '' : JSON.stringify(request.tools.tools);
  const scope = isolation === 'client' ? `${client} ${tools}` : tools;
  return fingerprintOf(request.input, scope === '' ? undefined : scope);
}

function settlementOf(
  outcome: Outcome,
  { promptTokens, cachedTokens, answerTokens }: TokenCount,
  { dispatchedAt, firstTokenAt, unstreamed = false }: RequestTrace,
): Settlement {
  const isTimed = dispatchedAt !== undefined && firstTokenAt !== undefined && !unstreamed;
  return {
    outcome,
    promptTokens,
    cachedTokens,
    answerTokens,
    firstTokenMs: isTimed ? firstTokenAt - dispatchedAt : undefined,
  };
}

/**
 * Where a backend refuses a field that it cannot honour, before its first event, it is asked again without the field, and the
 * trace says so. What is content, no setting, is refused all the same.
 */

interface DroppingCall {
  /** As the backend was asked. */
  readonly asked: GenerationRequest;
  readonly trace: RequestTrace;
  readonly droppable: Droppable;
}

/** What to ask for instead; undefined: the refusal is the answer. */
export function dropUnsupported(
  { asked, trace, droppable }: DroppingCall,
  { code, param }: ServingError,
): GenerationRequest | undefined {
  if (code !== 'unsupported_parameter' || param === undefined) return undefined;
  const less = withoutField(asked, param, droppable);
  if (less === undefined) return undefined;
  trace.droppedFields ??= [];
  if (!trace.droppedFields.includes(param)) trace.droppedFields.push(param);
  return less;
}

/** What one generation has used so far, as its events tell it: for the settlement, however it ends. */

export class TokenCount {
  #promptTokens = 0;
  #cachedTokens = 0;
  #answerTokens = 0;

  get promptTokens(): number {
    return this.#promptTokens;
  }

  /** Of the prompt's. */
  get cachedTokens(): number {
    return this.#cachedTokens;
  }

  get answerTokens(): number {
    return this.#answerTokens;
  }

  /** The backend has the prompt: from now on it counts, by estimate until the backend tells the number. */
  begin(estimatedPromptTokens: number): void {
    this.#promptTokens = estimatedPromptTokens;
  }

  note(event: GenerationEvent): void {
    switch (event.type) {
      case 'start':
        this.#promptTokens = event.promptTokens || this.#promptTokens;
        this.#cachedTokens = event.cachedTokens || this.#cachedTokens;
        return;
      case 'text':
        this.#answerTokens += event.logprobs?.length || 1;
        return;
      case 'reasoning':
      case 'tool-call':
      case 'tool-arguments':
        // A piece is normally a token; the backend's own count replaces the sum at the end.
        this.#answerTokens += 1;
        return;
      case 'finish':
        // 0 is what is told by servers that do not count.
        this.#promptTokens = event.usage.promptTokens || this.#promptTokens;
        this.#cachedTokens = event.usage.cachedTokens || this.#cachedTokens;
        this.#answerTokens = event.usage.completionTokens || this.#answerTokens;
        return;
      default:
        throw event satisfies never;
    }
  }
}
