/**
 * One generation, from the queue to its end: it waits for a slot, runs at the backend there, and passes the backend's events
 * on. Every event is handled in the turn of the event loop in which the backend brought it.
 */
import type { CacheIsolation, GenerateOptions, Generation, GenerationSink } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import { type Droppable, withoutField, withoutRedundantFormat } from '../core/features.ts';
import type { GenerationEvent, GenerationRequest } from '../core/generation.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import { fingerprintOf, type PrefixFingerprint } from '../scheduling/prefix-fingerprint.ts';
import { ProgressWatch, silenceLimits } from './progress-watch.ts';
import { type PromptSize, promptSizeOf } from './prompt-size.ts';
import {
  type Slot,
  type SlotCall,
  type SlotServices,
  type SlotWork,
  type UsedTokens,
  withSlot,
} from './slot.ts';
import type { Target } from './targets.ts';

export interface GenerationCall extends SlotCall, Pick<GenerateOptions, 'delivery' | 'promptTokensFirst'> {
  readonly request: GenerationRequest;
}

export interface GenerationServices extends SlotServices {
  /** Undefined where none of the model's targets caches prefixes. */
  cacheIsolationOf(model: string): CacheIsolation | undefined;
  /** Settings that a backend does not support are dropped instead of refused. */
  readonly dropUnsupported: boolean;
  /** Between two tokens of one generation. */
  onTokenGap(model: string, gapMs: Milliseconds): void;
}

/** Cancelled through the cancellation of its call. Its sink gets exactly one end. */
export class ServedGeneration implements GenerationSink, SlotWork {
  readonly promptSize: PromptSize;
  readonly prefix: PrefixFingerprint | undefined;
  readonly used = new TokenCount();
  readonly deadlineAdvice = 'Ask for fewer tokens or allow more time.';
  readonly #call: GenerationCall;
  readonly #sink: GenerationSink;
  readonly #services: GenerationServices;
  #slot: Slot | undefined;
  #target: Target | undefined;
  /** As the backend was asked, without what was dropped. */
  #request: GenerationRequest;
  #generation: Generation | undefined;
  #watch: ProgressWatch | undefined;
  #lastTokenAt: Milliseconds | undefined;
  #hasBegun = false;
  #isPaused = false;

  constructor(call: GenerationCall, sink: GenerationSink, services: GenerationServices) {
    this.#call = call;
    this.#sink = sink;
    this.#services = services;
    this.#request = call.request;
    this.promptSize = promptSizeOf(call.request);
    this.prefix = prefixOf(call, services.cacheIsolationOf(call.request.model));
  }

  /** Begins to wait in the queue. */
  enqueue(): void {
    withSlot(this.#call, this, this.#services);
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
    if (!this.#slot?.isOver) this.#watch?.waiting();
  }

  start(target: Target, slot: Slot): void {
    const { request, cancellation } = this.#call;
    const { clock } = this.#services;
    const limits = silenceLimits(request, target);
    this.#slot = slot;
    this.#target = target;
    this.#watch = new ProgressWatch({ clock, limits, onSilence: (error) => cancellation.cancel(error) });
    this.used.begin(this.promptSize.tokens);
    this.#ask(target);
  }

  cancel(reason: ServingError): void {
    this.#generation?.cancel(reason);
  }

  failed(error: ServingError): void {
    this.#watch?.stop();
    this.#sink.fail(error);
  }

  event(reported: GenerationEvent): void {
    const slot = this.#slot;
    if (slot === undefined || slot.isOver) return;
    const { trace, request } = this.#call;
    const isBeyondLimit = this.#isBeyondLimit(reported);
    const event = isBeyondLimit ? this.#endAtLimit() : reported;
    const now = this.#services.clock.now();
    this.#hasBegun = true;
    this.used.note(event);
    if (event.type !== 'start') trace.firstTokenAt ??= now;
    this.#watch?.progressed(now, { isToken: event.type !== 'start' });
    if (event.type === 'text' || event.type === 'tool-arguments') {
      // Usually a token each, so the gap between two is the inter-token latency.
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
    this.#watch?.stop();
    if (isBeyondLimit) {
      slot.complete(this.#generation?.released);
      this.#generation?.cancel(new ServingError('client_gone'));
    } else {
      // It ended by itself: the backend holds nothing any more.
      slot.complete();
    }
  }

  fail(error: ServingError): void {
    const slot = this.#slot;
    const target = this.#target;
    if (slot === undefined || target === undefined || slot.isOver) return;
    const request = this.#requestWithout(error);
    if (request === undefined) {
      slot.fail(error, this.#generation?.released);
      return;
    }
    this.#request = request;
    this.#ask(target);
  }

  #ask(target: Target): void {
    const { trace, client, delivery = 'stream', promptTokensFirst = false } = this.#call;
    const onUnstreamed = () => {
      trace.unstreamed = true;
      this.#watch?.expectWhole(target.answerTimeoutMs);
    };
    const options = {
      delivery,
      promptTokensFirst,
      onUnstreamed,
      ...(target.cacheIsolation === 'client' && { cacheScope: client }),
    };
    this.#watch?.waiting();
    try {
      this.#generation = target.backend.generate(withoutRedundantFormat(this.#request), this, options);
    } catch (thrown) {
      // A backend never throws here; a bug in one must not reach the others that were granted a slot in this turn.
      this.fail(toServingError(thrown));
      return;
    }
    if (!this.#isPaused) return;
    this.#generation.pause();
    this.#watch?.paused();
  }

  /** The request without the field that the backend refused before its first event; undefined: the refusal is the answer. */
  #requestWithout(refusal: ServingError): GenerationRequest | undefined {
    const { trace, cancellation } = this.#call;
    if (this.#hasBegun || cancellation.reason !== undefined) return undefined;
    const droppable = this.#services.dropUnsupported ? 'settings' : 'optional';
    return dropUnsupported(this.#request, refusal, { trace, droppable });
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

function prefixOf(
  { request, client }: GenerationCall,
  isolation: CacheIsolation | undefined,
): PrefixFingerprint | undefined {
  if (isolation === undefined) return undefined;
  // Templates write the tools in front of everything.
  const tools = request.tools === undefined ? '' : JSON.stringify(request.tools.tools);
  const scope = isolation === 'client' ? `${client} ${tools}` : tools;
  return fingerprintOf(request.input, scope === '' ? undefined : scope);
}

/**
 * What to ask for instead after a refusal: the request without the field that the backend does not support, which the trace
 * then names as dropped. Content is never dropped, only settings. Undefined: the refusal is the answer.
 */
export function dropUnsupported(
  request: GenerationRequest,
  { code, param }: ServingError,
  { trace, droppable }: { readonly trace: RequestTrace; readonly droppable: Droppable },
): GenerationRequest | undefined {
  if (code !== 'unsupported_parameter' || param === undefined) return undefined;
  const lesser = withoutField(request, param, droppable);
  if (lesser === undefined) return undefined;
  trace.droppedFields ??= [];
  if (!trace.droppedFields.includes(param)) trace.droppedFields.push(param);
  return lesser;
}

/** Counts what a generation has used, from its events. */
export class TokenCount implements UsedTokens {
  promptTokens = 0;
  cachedTokens = 0;
  answerTokens = 0;

  /** The backend has the prompt: it counts from now on, by estimate until the backend reports the number. */
  begin(estimatedPromptTokens: number): void {
    this.promptTokens = estimatedPromptTokens;
  }

  note(event: GenerationEvent): void {
    switch (event.type) {
      case 'start':
        this.promptTokens = event.promptTokens || this.promptTokens;
        this.cachedTokens = event.cachedTokens || this.cachedTokens;
        return;
      case 'text':
        this.answerTokens += event.logprobs?.length || 1;
        return;
      case 'reasoning':
      case 'tool-call':
      case 'tool-arguments':
        // A piece is usually a token; the backend's own count replaces the sum at the end.
        this.answerTokens += 1;
        return;
      case 'finish':
        // Servers that do not count report 0.
        this.promptTokens = event.usage.promptTokens || this.promptTokens;
        this.cachedTokens = event.usage.cachedTokens || this.cachedTokens;
        this.answerTokens = event.usage.completionTokens || this.answerTokens;
        return;
      default:
        throw event satisfies never;
    }
  }
}
