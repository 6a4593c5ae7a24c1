/**
 * One generation, as its client sees it: one answer or one error, whatever was tried to get it. What a try brings is held back until
 * it cannot fail any more without the client noticing: a whole answer until its end, a stream until its first content. From then on
 * a stream goes on after a failure where that is exact.
 */
import type { GenerationSink } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { GenerationEvent, GenerationRequest } from '../core/generation.ts';
import { fingerprintOf, type PrefixFingerprint } from '../scheduling/prefix-fingerprint.ts';
import { abilitiesNeeded, hasTokenIds } from './fallback-models.ts';
import {
  type AttemptOwner,
  type BegunAnswer,
  GenerationAttempt,
  type GenerationCall,
  type GenerationServices,
} from './generation-attempt.ts';
import { type PromptSize, promptSizeOf } from './prompt-size.ts';
import { ResumableAnswer } from './resumable-answer.ts';
import { whyNeverResumed } from './resumption.ts';
import { type NextTry, Retries } from './retries.ts';
import type { Target } from './targets.ts';

/** Cancelled through the cancellation of its call. Its sink gets exactly one end. */
export class ServedGeneration implements AttemptOwner {
  promptSize: PromptSize;
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
  /** Absent where what was sent is not kept, so that it cannot go on. */
  #answer: ResumableAnswer | undefined;
  /** What broke the stream first. */
  #brokenBy: ServingError | undefined;
  /** What the next attempt asks for, where that is not the call's request. */
  #resumed: GenerationRequest | undefined;
  #begun: BegunAnswer | undefined;
  #lastTokenAt: Milliseconds | undefined;
  #isPaused = false;
  #isOver = false;

  constructor(call: GenerationCall, sink: GenerationSink, services: GenerationServices) {
    this.#call = call;
    this.#sink = sink;
    this.#services = services;
    this.promptSize = promptSizeOf(call.request);
    this.prefix = prefixOf(call, services);
    this.#retries = undefined;
    this.#held = undefined;
    this.#answer = undefined;
    this.#brokenBy = undefined;
    this.#resumed = undefined;
    this.#begun = undefined;
    this.#lastTokenAt = undefined;
    this.#attempt = new GenerationAttempt(call, this, services);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get begun(): BegunAnswer | undefined {
    return this.#begun;
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

  event(event: GenerationEvent, now: Milliseconds): void {
    if (!this.#hasSent) {
      const isWhole = this.#call.delivery === 'whole';
      if (event.type === 'start' || (isWhole && event.type !== 'finish')) {
        this.#noteGap(event, now);
        this.#held ??= [];
        this.#held.push(event);
        return;
      }
      this.#begin();
    }
    const passed = this.#answer === undefined ? event : this.#answer.pass(event);
    if (passed === undefined) return;
    if (passed === 'differs') {
      this.#differs();
      return;
    }
    this.#noteGap(passed, now);
    if (passed.type === 'finish') this.#finish(passed);
    else this.#sink.event(passed);
  }

  attemptFailed(error: ServingError, target: Target | undefined): void {
    if (this.#isOver) return;
    if (this.#call.cancellation.reason !== undefined) {
      this.#fail(error);
    } else if (this.#hasSent) {
      this.#goOn(error, target);
    } else {
      this.#forgetAttempt();
      this.#retries ??= this.#newRetries();
      this.#retries.failed(error, target);
    }
  }

  canMoveOn(from: Target): boolean {
    this.#retries ??= this.#newRetries();
    return this.#retries.canMoveOn(from);
  }

  /** From here on the client has a part of the answer. */
  #begin(): void {
    const { request, delivery, trace } = this.#call;
    this.#hasSent = true;
    if (this.#retries !== undefined) this.#services.onAnswered(trace);
    const mayGoOn = delivery !== 'whole' && this.#services.resume() === 'auto';
    const isKept = whyNeverResumed(request) === undefined || this.#attempt.tokens !== undefined;
    if (mayGoOn && isKept) this.#answer = new ResumableAnswer();
    if (this.#held === undefined) return;
    for (const event of this.#held) {
      if (event.type === 'start') this.#answer?.begun(event);
      this.#sink.event(event);
    }
    this.#held = undefined;
  }

  /** Of what the client receives. */
  #noteGap({ type }: GenerationEvent, now: Milliseconds): void {
    if (type !== 'text' && type !== 'tool-arguments') return;
    // Usually a token each, so the gap between two is the inter-token latency.
    if (this.#lastTokenAt !== undefined) {
      const { request, trace } = this.#call;
      this.#services.onTokenGap(request.model, now - this.#lastTokenAt, trace.target);
    }
    this.#lastTokenAt = now;
  }

  #finish(event: Extract<GenerationEvent, { type: 'finish' }>): void {
    const { trace } = this.#call;
    this.#isOver = true;
    trace.finishReason = event.reason;
    trace.usage = event.usage;
    this.#noteResumptions();
    this.#sink.event(event);
  }

  #fail(error: ServingError): void {
    this.#isOver = true;
    this.#noteResumptions();
    if (this.#call.cancellation.reason === undefined) this.#services.onRequestFailed(this.#call.trace);
    // What kept it from going on is for the log.
    const isItsOwn = this.#call.cancellation.reason !== undefined || error.code === 'deadline_exceeded';
    this.#sink.fail(isItsOwn ? error : (this.#brokenBy ?? error));
  }

  #noteResumptions(): void {
    const resumptions = this.#answer?.resumptions ?? 0;
    if (resumptions > 0) this.#call.trace.resumptions = resumptions;
  }

  /** The stream broke, or what was to continue it failed. */
  #goOn(error: ServingError, target: Target | undefined): void {
    const { request, trace } = this.#call;
    const answer = this.#answer;
    const isFirst = this.#brokenBy === undefined;
    if (isFirst && error.failure === undefined) {
      this.#fail(error);
      return;
    }
    if (answer === undefined) {
      if (this.#services.resume() === 'auto') trace.notResumed = whyNeverResumed(request);
      this.#fail(error);
      return;
    }
    this.#brokenBy ??= error;
    if (target !== undefined) {
      const attempt = this.#attempt;
      // Known at this target alone, which is worth waiting for if no other can take the request.
      const isReplayed = error.failure === 'engine_lost' && !this.canMoveOn(target);
      const known = isReplayed ? attempt.tokens : undefined;
      const resumption = answer.broken(attempt.request, attempt.used.answerTokens, known);
      this.#begun = undefined;
      switch (resumption.mode) {
        case 'replay':
          this.#resumed = attempt.request;
          this.#begun = { target, tokens: resumption.tokens };
          break;
        case 'regenerate':
          this.#resumed = attempt.request;
          break;
        case 'continue':
          this.#resumed = resumption.request;
          this.promptSize = promptSizeOf(resumption.request);
          break;
        case 'complete':
          this.#finish(answer.complete(attempt.used.promptTokens));
          return;
        case 'cannot':
          trace.notResumed = resumption.reason;
          this.#fail(error);
          return;
        default:
          throw resumption satisfies never;
      }
    }
    this.#retries ??= this.#newRetries();
    // A stream has told the client its model.
    this.#retries.keepModel();
    this.#retries.failed(error, target);
  }

  /** The client has something else than what would follow. */
  #differs(): void {
    this.#call.trace.notResumed = 'the other answer differs from what was sent';
    this.#fail(
      this.#brokenBy ??
        new ServingError('backend_error', { message: 'The backend did not repeat its answer.' }),
    );
    this.#attempt.abandon();
  }

  /** Nothing of it has reached the client, so nothing of it counts. */
  #forgetAttempt(): void {
    const { trace } = this.#call;
    this.#held = undefined;
    this.#lastTokenAt = undefined;
    delete trace.firstTokenAt;
    delete trace.unstreamed;
  }

  #newRetries(): Retries {
    const call = this.#call;
    return new Retries(call, this.#services, {
      needs: abilitiesNeeded(call.request),
      isTiedToModel: hasTokenIds(call.request),
      deadlineAdvice: this.#attempt.deadlineAdvice,
      again: (next) => this.#tryAgain(next),
      fail: (error) => this.#fail(error),
    });
  }

  #tryAgain(next: NextTry): void {
    const isResumed = this.#resumed !== undefined;
    const request = this.#resumed ?? this.#call.request;
    const isSame = next.model === request.model;
    const call = {
      ...this.#call,
      request: isSame ? request : { ...request, model: next.model },
      // The position was reported as 0 when the first attempt left the queue.
      onQueuePosition: undefined,
    };
    this.prefix = prefixOf(call, this.#services);
    this.#attempt = new GenerationAttempt(call, this, this.#services);
    this.#attempt.enqueue(isResumed ? { ...next, kind: 'resumed' } : next);
  }
}

function prefixOf(
  { request, client }: GenerationCall,
  { cacheIsolationOf, routesByPrefix }: GenerationServices,
): PrefixFingerprint | undefined {
  const isolation = cacheIsolationOf(request.model);
  if (isolation === undefined && !routesByPrefix(request.model)) return undefined;
  // Templates write the tools in front of everything.
  const tools = request.tools === undefined ? '' : JSON.stringify(request.tools.tools);
  const scope = isolation === 'client' ? `${client} ${tools}` : tools;
  return fingerprintOf(request.input, scope === '' ? undefined : scope);
}
