/**
 * One generation, as its client sees it: one answer or one error, whatever was tried to get it. What a try brings is held back until
 * it cannot fail any more without the client noticing: a whole answer until its end, a stream until its first content.
 */
import type { CacheIsolation, GenerationSink } from '../core/backend.ts';
import type { ServingError } from '../core/errors.ts';
import type { GenerationEvent } from '../core/generation.ts';
import { fingerprintOf, type PrefixFingerprint } from '../scheduling/prefix-fingerprint.ts';
import { abilitiesNeeded } from './fallback-models.ts';
import {
  type AttemptOwner,
  GenerationAttempt,
  type GenerationCall,
  type GenerationServices,
} from './generation-attempt.ts';
import { type PromptSize, promptSizeOf } from './prompt-size.ts';
import { type NextTry, Retries } from './retries.ts';
import type { Target } from './targets.ts';

/** Cancelled through the cancellation of its call. Its sink gets exactly one end. */
export class ServedGeneration implements AttemptOwner {
  readonly promptSize: PromptSize;
  prefix: PrefixFingerprint | undefined;
  readonly #call: GenerationCall;
  readonly #sink: GenerationSink;
  readonly #services: GenerationServices;
  #attempt: GenerationAttempt;
  /** Made when the first attempt has failed. */
  #retries: Retries | undefined;
  /** Events of the attempt that the client has not received. */
  #held: GenerationEvent[] | undefined;
  /** The client has received a part of the answer. */
  #hasSent = false;
  #isPaused = false;

  constructor(call: GenerationCall, sink: GenerationSink, services: GenerationServices) {
    this.#call = call;
    this.#sink = sink;
    this.#services = services;
    this.promptSize = promptSizeOf(call.request);
    this.prefix = prefixOf(call, services.cacheIsolationOf(call.request.model));
    this.#retries = undefined;
    this.#held = undefined;
    this.#attempt = new GenerationAttempt(call, this, services);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Begins to wait in the queue. */
  enqueue(): void {
    this.#attempt.enqueue();
  }

  /** The sink cannot take more for now. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#attempt.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#attempt.resume();
  }

  event(event: GenerationEvent): void {
    if (!this.#hasSent) {
      const isWhole = this.#call.delivery === 'whole';
      if (event.type === 'start' || (isWhole && event.type !== 'finish')) {
        this.#held ??= [];
        this.#held.push(event);
        return;
      }
      this.#hasSent = true;
      if (this.#held !== undefined) for (const held of this.#held) this.#sink.event(held);
      this.#held = undefined;
    }
    this.#sink.event(event);
  }

  attemptFailed(error: ServingError, target: Target | undefined): void {
    if (this.#hasSent || this.#call.cancellation.reason !== undefined) {
      this.#sink.fail(error);
      return;
    }
    this.#forgetAttempt();
    this.#retries ??= this.#newRetries();
    this.#retries.failed(error, target);
  }

  canMoveOn(from: Target): boolean {
    this.#retries ??= this.#newRetries();
    return this.#retries.canMoveOn(from);
  }

  /** Nothing of it has reached the client, so nothing of it counts. */
  #forgetAttempt(): void {
    const { trace } = this.#call;
    this.#held = undefined;
    delete trace.firstTokenAt;
    delete trace.unstreamed;
    delete trace.finishReason;
    delete trace.usage;
  }

  #newRetries(): Retries {
    const call = this.#call;
    return new Retries(call, this.#services, {
      needs: abilitiesNeeded(call.request),
      deadlineAdvice: this.#attempt.deadlineAdvice,
      again: (next) => this.#tryAgain(next),
      fail: (error) => this.#sink.fail(error),
    });
  }

  #tryAgain(next: NextTry): void {
    const { request } = this.#call;
    const isSame = next.model === request.model;
    const call = {
      ...this.#call,
      request: isSame ? request : { ...request, model: next.model },
      // The position was reported as 0 when the first attempt left the queue.
      onQueuePosition: undefined,
    };
    this.prefix = prefixOf(call, this.#services.cacheIsolationOf(next.model));
    this.#attempt = new GenerationAttempt(call, this, this.#services);
    this.#attempt.enqueue(next);
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
