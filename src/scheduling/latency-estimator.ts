/** What is known of a model from serving it: how long its answers are, how long they take, how long one waits for them. */

import type { Milliseconds } from '../core/clock.ts';
import type { QueueEntry, Settlement } from './decision.ts';
import type { QueuedRequest } from './queued-request.ts';
import type { Work } from './work.ts';

/** Before the model has answered anything: tokens of an answer whose client set no bound. */
const ASSUMED_ANSWER_TOKENS = 256;
/** So much is kept for an answer before its deadline: a little more than predicted, and twice the usual error. */
const SERVICE_ALLOWANCE = 1.1;
const SPREAD_ALLOWANCE = 2;
/** How fast the longest answer is forgotten: by half within 140 shorter ones. */
const LONGEST_FORGOTTEN_PER_ANSWER = 0.005;
/** No model answers at more length: keeps the sums exact, whatever bounds clients set. */
const MAX_CHARGE_TOKENS = 10_000_000;
/** One in so many predictions is held against what comes of it. */
const PREDICTION_SAMPLE = 16;

export class LatencyEstimator {
  readonly #serviceTime = new ServiceTime();
  readonly #predictor = new WaitPredictor(this.#serviceTime);
  readonly #answerTokens = new MovingAverage(ASSUMED_ANSWER_TOKENS);
  #longestAnswerTokens = ASSUMED_ANSWER_TOKENS;

  /** There is enough of it to refuse requests for what it says. */
  get isTrusted(): boolean {
    return this.#serviceTime.isTrusted;
  }

  waitMs(ahead: WorkAhead, service: ServiceLoad): Milliseconds {
    return this.#predictor.waitMs(ahead, service);
  }

  /**
   * How long an answer will be: expected, to predict times from, and charged, to share and budget by. A bound that its
   * client set is charged in full, but no longer an answer expected of it than the longest that was given lately.
   */
  answerTokens({ maxTokens, maxTokensIsDefault }: QueueEntry): {
    readonly expected: number;
    readonly charged: number;
  } {
    if (maxTokens === undefined || maxTokensIsDefault) {
      const mean = Math.round(Math.min(maxTokens ?? Number.POSITIVE_INFINITY, this.#answerTokens.value));
      return { expected: mean, charged: mean };
    }
    return {
      expected: Math.min(maxTokens, Math.ceil(this.#longestAnswerTokens)),
      charged: Math.min(maxTokens, MAX_CHARGE_TOKENS),
    };
  }

  /**
   * When waiting becomes pointless: at its end, or when what is left would not do for the answer. Where there is not
   * even time for what an answer usually takes, a slot that is free now may be tried, but none is waited for.
   */
  startBy(entry: QueueEntry, answerTokens: number, now: Milliseconds): Milliseconds {
    if (!this.isTrusted) return entry.expiresAt;
    const work = { requests: 1, promptTokens: entry.promptTokens, answerTokens };
    const usualMs = this.#serviceTime.of(work);
    const safeMs = this.longestMs(work);
    const latest = entry.deadlineAt - (entry.deadlineAt - safeMs > now ? safeMs : usualMs);
    return Math.min(entry.expiresAt, Math.max(now, latest));
  }

  /** How long that may take, on the safe side. */
  longestMs(work: Work): Milliseconds {
    return SERVICE_ALLOWANCE * this.#serviceTime.of(work) + SPREAD_ALLOWANCE * this.#serviceTime.spreadMs;
  }

  /** It has to wait. */
  queued(
    waiting: QueuedRequest,
    now: Milliseconds,
    { ahead, service }: { ahead: () => WorkAhead; service: ServiceLoad },
  ): void {
    if (waiting.arrival % PREDICTION_SAMPLE !== 0) return;
    const { work, canBeOvertaken } = ahead();
    if (canBeOvertaken)
      waiting.prediction = { madeAt: now, waitMs: this.#predictor.uncorrectedMs(work, service) };
  }

  granted({ prediction }: QueuedRequest, now: Milliseconds): void {
    if (prediction)
      this.#predictor.learn({ predictedMs: prediction.waitMs, waitedMs: now - prediction.madeAt });
  }

  ended(granted: QueuedRequest, settlement: Settlement, durationMs: Milliseconds): void {
    const isComplete = settlement.outcome === 'completed';
    const answers = granted.entry.maxTokens !== 0;
    // One that was cut off tells something only if it was longer, or took longer, than it should have.
    if (answers && (isComplete || settlement.answerTokens > granted.answerTokens))
      this.#learnLength(settlement.answerTokens);
    const ranLong = settlement.outcome === 'cancelled' && durationMs > this.#serviceTime.of(granted);
    if (!isComplete && !ranLong) return;
    // What was cut off before its first token took all its time for that; a complete answer without one came whole.
    const firstTokenMs = settlement.firstTokenMs ?? (isComplete && answers ? undefined : durationMs);
    this.#serviceTime.record({ work: granted, durationMs, firstTokenMs });
  }

  #learnLength(answerTokens: number): void {
    this.#answerTokens.add(answerTokens);
    const forgotten = LONGEST_FORGOTTEN_PER_ANSWER * (this.#longestAnswerTokens - answerTokens);
    this.#longestAnswerTokens = Math.max(answerTokens, this.#longestAnswerTokens - forgotten);
  }
}

/**
 * How long a request will wait: until a slot is free, and then for the work ahead of it, spread over the slots. (What the
 * other slots still have to do when it starts is as much as they have to do now: of what is running only one request's
 * rest counts.) Whoever can be overtaken by requests that are yet to come waits longer than that; by how much is
 * learned from what came of earlier predictions.
 */

/** Of a request that runs, this part is still to come on average. */
const STILL_TO_COME = 0.5;
/** Predictions that were off by more were so for a reason that is over. */
const MAX_CORRECTION = 3;
/** Before so many outcomes predictions stand as they are: the first ones are made while a queue builds up. */
const CORRECTED_AFTER = 16;

/** What goes before a request, as things stand. */
export interface WorkAhead {
  readonly work: Work;
  /** Requests that are yet to come may go before it too. */
  readonly canBeOvertaken: boolean;
  /** Of a lower class: when ageing will have made room for it, and what goes before it even then. */
  readonly aged?: { readonly afterMs: Milliseconds; readonly work: Work } | undefined;
}

/** What is served at the same time, and how much of it. */
export interface ServiceLoad {
  readonly running: Work;
  readonly slots: number;
}

export class WaitPredictor {
  readonly #serviceTime: ServiceTime;
  readonly #predictedMs = new MovingAverage(0);
  readonly #waitedMs = new MovingAverage(0);

  constructor(serviceTime: ServiceTime) {
    this.#serviceTime = serviceTime;
  }

  waitMs({ work, canBeOvertaken, aged }: WorkAhead, service: ServiceLoad): Milliseconds {
    const waitMs = this.uncorrectedMs(work, service) * (canBeOvertaken ? this.#correction : 1);
    if (aged === undefined) return waitMs;
    const agedMs = Math.max(aged.afterMs, this.uncorrectedMs(aged.work, service));
    return Math.min(waitMs, agedMs + this.#untilOneEndsMs(service));
  }

  uncorrectedMs(ahead: Work, service: ServiceLoad): Milliseconds {
    return this.#untilOneEndsMs(service) + this.#serviceTime.of(ahead) / Math.max(1, service.slots);
  }

  /** What came of an uncorrected prediction for a request that could be overtaken. */
  learn(outcome: { readonly predictedMs: Milliseconds; readonly waitedMs: Milliseconds }): void {
    this.#predictedMs.add(outcome.predictedMs);
    this.#waitedMs.add(outcome.waitedMs);
  }

  #untilOneEndsMs({ running, slots }: ServiceLoad): Milliseconds {
    return (STILL_TO_COME * this.#serviceTime.of(running)) / Math.max(1, slots) ** 2;
  }

  get #correction(): number {
    if (this.#predictedMs.count < CORRECTED_AFTER || this.#predictedMs.value <= 0) return 1;
    return Math.min(MAX_CORRECTION, Math.max(1, this.#waitedMs.value / this.#predictedMs.value));
  }
}

/**
 * How long requests take, learned from those that were served lately. A service has two parts, up to the first token and
 * after it; each is a fixed cost and one per token, fitted to the recent ones. What is learned counts estimated tokens,
 * so that estimates that are off by a factor are off here by that factor too, and cancel out.
 */

/** How much the newest observation weighs once there are some: the last 100 or so count. */
const WEIGHT_OF_NEWEST = 0.02;
/** Against the slope that mere noise has where the tokens hardly differ; relative to their mean, squared. */
const SLOPE_DAMPING = 0.02;
/** Before so many nothing is refused for a prediction. */
const TRUSTED_AFTER = 8;
const ASSUMED_BEFORE_ANY_MS = 1000;

interface ServiceSample {
  readonly work: Work;
  readonly durationMs: Milliseconds;
  /** Undefined: the answer came whole, so nobody knows. */
  readonly firstTokenMs: Milliseconds | undefined;
}

export class ServiceTime {
  readonly #firstToken = new RecentFit();
  readonly #rest = new RecentFit();

  /** Enough was seen to act on it. */
  get isTrusted(): boolean {
    return this.#rest.count >= TRUSTED_AFTER;
  }

  record({ work, durationMs, firstTokenMs }: ServiceSample): void {
    if (firstTokenMs !== undefined) this.#firstToken.add(work.promptTokens, Math.max(0, firstTokenMs));
    // Of an answer that came whole, what others of its prompt's length took is not its own part.
    const restMs = durationMs - (firstTokenMs ?? this.#firstToken.sumOf(1, work.promptTokens));
    this.#rest.add(work.answerTokens, Math.max(0, restMs));
  }

  /** How far services are from what is predicted for them: one standard deviation. */
  get spreadMs(): Milliseconds {
    return Math.sqrt(this.#firstToken.squaredError + this.#rest.squaredError);
  }

  /** One after the other. */
  of({ requests, promptTokens, answerTokens }: Work): Milliseconds {
    if (this.#rest.count === 0) return requests * ASSUMED_BEFORE_ANY_MS;
    return this.#firstToken.sumOf(requests, promptTokens) + this.#rest.sumOf(requests, answerTokens);
  }
}

/**
 * A line through recent observations: a fixed part and one per unit, never negative. Where the units hardly differ their
 * slope is not to be known, and nearly all becomes the fixed part.
 */
class RecentFit {
  count = 0;
  /** Of what was observed against what the line said before. */
  squaredError = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  add(x: number, y: number): void {
    this.count += 1;
    const weight = Math.max(WEIGHT_OF_NEWEST, 1 / this.count);
    const error = this.count === 1 ? 0 : y - this.sumOf(1, x);
    this.squaredError += weight * (error ** 2 - this.squaredError);
    this.#x += weight * (x - this.#x);
    this.#y += weight * (y - this.#y);
    this.#xx += weight * (x * x - this.#xx);
    this.#xy += weight * (x * y - this.#xy);
  }

  /** The sum of y over `count` observations whose x sum up to `x`. */
  sumOf(count: number, x: number): number {
    const variance = Math.max(0, this.#xx - this.#x ** 2) + SLOPE_DAMPING * this.#x ** 2;
    const covariance = Math.max(0, this.#xy - this.#x * this.#y);
    // Steeper would make the fixed part negative.
    const steepest = this.#x > 0 ? this.#y / this.#x : 0;
    const slope = variance > 0 ? Math.min(steepest, covariance / variance) : 0;
    return count * (this.#y - slope * this.#x) + slope * x;
  }
}

/** A moving average in which the newest value weighs a fiftieth, once there are fifty. */
const NEWEST_WEIGHT = 0.02;

class MovingAverage {
  #count = 0;
  #mean: number;

  constructor(assumedBeforeAny: number) {
    this.#mean = assumedBeforeAny;
  }

  get count(): number {
    return this.#count;
  }

  get value(): number {
    return this.#mean;
  }

  add(value: number): void {
    this.#count += 1;
    this.#mean += Math.max(NEWEST_WEIGHT, 1 / this.#count) * (value - this.#mean);
  }
}
