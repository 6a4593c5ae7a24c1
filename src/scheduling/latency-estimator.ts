/**
 * Learns from the requests that a model has served: how long its answers are, how long they take (`ServiceTime`), and from these how
 * long a request will wait (`WaitPredictor`).
 */
import type { Milliseconds } from '../core/clock.ts';
import type { QueueEntry, Settlement } from './decision.ts';
import type { QueuedRequest } from './queued-request.ts';
import { RecentLengths } from './recent-lengths.ts';
import type { Work } from './work.ts';

/**
 * Tokens of an answer whose client set no bound, before the model has answered anything. Limits never reserve less for one: what came before
 * it may have been short because clients wanted it so.
 */
const ASSUMED_ANSWER_TOKENS = 256;
/** Time kept for an answer before its deadline: a little more than predicted, plus twice the usual error. */
const SERVICE_ALLOWANCE = 1.1;
const SPREAD_ALLOWANCE = 2;
/** How fast the longest answer is forgotten: by half within 140 shorter ones. */
const MAX_DECAY = 0.005;
/** Longer than any answer: keeps the sums exact, whatever bounds clients set. */
const MAX_CHARGE_TOKENS = 10_000_000;
/** One prediction in so many is compared with the actual wait. */
const PREDICTION_SAMPLE = 16;

/** What is known of an answer's length before it begins. */
export interface AnswerBound extends Pick<QueueEntry, 'maxTokens' | 'maxTokensIsDefault'> {
  readonly minTokens?: number | undefined;
}

/** What limits reserve. `most`: as long as most recent answers were at most; absent: there were none. */
export function reservedAnswerTokens(
  { maxTokens, maxTokensIsDefault, minTokens = 0 }: AnswerBound,
  most: number = ASSUMED_ANSWER_TOKENS,
): number {
  if (maxTokens !== undefined && !maxTokensIsDefault) return Math.min(maxTokens, MAX_CHARGE_TOKENS);
  const estimated = Math.min(maxTokens ?? MAX_CHARGE_TOKENS, Math.max(most, ASSUMED_ANSWER_TOKENS));
  return Math.max(estimated, Math.min(minTokens, MAX_CHARGE_TOKENS));
}

export class LatencyEstimator {
  readonly #serviceTime = new ServiceTime();
  readonly #predictor = new WaitPredictor(this.#serviceTime);
  readonly #answerTokens = new MovingAverage(ASSUMED_ANSWER_TOKENS);
  readonly #recentLengths = new RecentLengths();
  #longestAnswerTokens = ASSUMED_ANSWER_TOKENS;

  /** Enough has been learned to reject requests by its estimates. */
  get isTrusted(): boolean {
    return this.#serviceTime.isTrusted;
  }

  waitMs(ahead: WorkAhead, service: ServiceLoad): Milliseconds {
    return this.#predictor.waitMs(ahead, service);
  }

  /**
   * How long an answer will be: `expected`, to predict times with, and `charged`, for shares and budgets. A bound that the client
   * set is charged in full, but the answer is expected to be no longer than the longest of late.
   */
  answerTokens({ maxTokens, maxTokensIsDefault }: Pick<QueueEntry, 'maxTokens' | 'maxTokensIsDefault'>): {
    readonly expected: number;
    readonly charged: number;
  } {
    if (maxTokens === undefined || maxTokensIsDefault) {
      const usual = Math.round(Math.min(maxTokens ?? Number.POSITIVE_INFINITY, this.#answerTokens.value));
      return { expected: usual, charged: usual };
    }
    const expected = Math.min(maxTokens, Math.ceil(this.#longestAnswerTokens));
    return { expected, charged: Math.min(maxTokens, MAX_CHARGE_TOKENS) };
  }

  /** For limits. With a margin, as a mean would be exceeded by many answers, and by those that a client makes longer than usual. */
  reservedAnswerTokens(bound: AnswerBound): number {
    return reservedAnswerTokens(bound, this.#recentLengths.most);
  }

  /**
   * The last moment to start the answer: the end of its wait, or when too little time would be left. If too little is left already,
   * a slot that is free now may be tried, but none is waited for.
   */
  startBy(entry: QueueEntry, answerTokens: number, now: Milliseconds): Milliseconds {
    if (!this.isTrusted) return entry.expiresAt;
    const work = { requests: 1, promptTokens: entry.promptTokens, answerTokens };
    const usualMs = this.#serviceTime.of(work);
    const safeMs = this.longestMs(work);
    const latest = entry.deadlineAt - (entry.deadlineAt - safeMs > now ? safeMs : usualMs);
    return Math.min(entry.expiresAt, Math.max(now, latest));
  }

  /** How long the work may take, on the safe side. */
  longestMs(work: Work): Milliseconds {
    return SERVICE_ALLOWANCE * this.#serviceTime.of(work) + SPREAD_ALLOWANCE * this.#serviceTime.spreadMs;
  }

  /** The request was not granted at once. */
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
    if (answers) this.#learnLength(settlement.answerTokens, isComplete && settlement.isCut !== true);
    // What was cut off took at least that long.
    const ranLong = settlement.outcome === 'cancelled' && durationMs > this.#serviceTime.of(granted);
    if (!isComplete && !ranLong) return;
    // Cut off before its first token: all of its time was spent on that. Complete without one: it was not streamed.
    const firstTokenMs = settlement.firstTokenMs ?? (isComplete && answers ? undefined : durationMs);
    this.#serviceTime.record({ work: granted, durationMs, firstTokenMs });
  }

  /**
   * One that its client cut off would have been at least as long: it says something only where that is longer than assumed. So no client
   * makes the answers of others, or its own next ones, look shorter than they are.
   */
  #learnLength(answerTokens: number, isWhole: boolean): void {
    const saysMore = (assumed: number) => isWhole || answerTokens > assumed;
    if (saysMore(this.#answerTokens.value)) this.#answerTokens.add(answerTokens);
    if (saysMore(this.#recentLengths.most ?? ASSUMED_ANSWER_TOKENS)) this.#recentLengths.add(answerTokens);
    if (!saysMore(this.#longestAnswerTokens)) return;
    const forgotten = MAX_DECAY * (this.#longestAnswerTokens - answerTokens);
    this.#longestAnswerTokens = Math.max(answerTokens, this.#longestAnswerTokens - forgotten);
  }
}

/** The part of a running request that is still to come, on average. */
const REMAINING_SHARE = 0.5;
/** A prediction that was off by more had a reason that is over. */
const MAX_CORRECTION = 3;
/** Predictions are corrected after so many outcomes: the first ones are made while a queue builds up. */
const MIN_OUTCOMES = 16;

/** The work that goes before a request at the moment. */
export interface WorkAhead {
  readonly work: Work;
  /** Requests that have not arrived yet may go before it too. */
  readonly canBeOvertaken: boolean;
  /** For a lower class: when ageing will give it a slot, and what goes before it even then. */
  readonly aged?: { readonly afterMs: Milliseconds; readonly work: Work } | undefined;
}

/** The work that runs at the moment, and the slots it runs on. */
export interface ServiceLoad {
  readonly running: Work;
  readonly slots: number;
}

/**
 * How long a request will wait: until a slot is free, and then for the work ahead of it, spread over the slots. (When it starts,
 * the other slots still have as much to do as they have now, so of the running work only the rest of one request counts.) A
 * request that later arrivals can overtake waits longer; by how much is learned from earlier predictions.
 */
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

  /** The outcome of an uncorrected prediction for a request that could be overtaken. */
  learn(outcome: { readonly predictedMs: Milliseconds; readonly waitedMs: Milliseconds }): void {
    this.#predictedMs.add(outcome.predictedMs);
    this.#waitedMs.add(outcome.waitedMs);
  }

  #untilOneEndsMs({ running, slots }: ServiceLoad): Milliseconds {
    return (REMAINING_SHARE * this.#serviceTime.of(running)) / Math.max(1, slots) ** 2;
  }

  get #correction(): number {
    if (this.#predictedMs.count < MIN_OUTCOMES || this.#predictedMs.value <= 0) return 1;
    return Math.min(MAX_CORRECTION, Math.max(1, this.#waitedMs.value / this.#predictedMs.value));
  }
}

/** Weight of the newest observation once there are fifty: the last 100 or so count. */
const NEWEST_WEIGHT = 0.02;
/** Damps the slope that mere noise has where the tokens hardly differ; relative to their mean, squared. */
const SLOPE_DAMPING = 0.02;
/** No request is rejected by a prediction before so many observations. */
const MIN_OBSERVATIONS = 8;
const ASSUMED_BEFORE_ANY_MS = 1000;

interface ServiceSample {
  readonly work: Work;
  readonly durationMs: Milliseconds;
  /** Undefined: not known, since the answer was not streamed. */
  readonly firstTokenMs: Milliseconds | undefined;
}

/**
 * How long requests take, learned from recent ones. The time has two parts, up to the first token and after it; each is a fixed
 * cost and a cost per token, fitted to recent requests. Tokens are the estimated ones: a factor by which all estimates are off
 * is learned too, and cancels out.
 */
export class ServiceTime {
  readonly #firstToken = new RecentFit();
  readonly #rest = new RecentFit();

  get isTrusted(): boolean {
    return this.#rest.count >= MIN_OBSERVATIONS;
  }

  record({ work, durationMs, firstTokenMs }: ServiceSample): void {
    if (firstTokenMs !== undefined) this.#firstToken.add(work.promptTokens, Math.max(0, firstTokenMs));
    // An answer that was not streamed: subtract what prompts of its length take up to the first token.
    const restMs = durationMs - (firstTokenMs ?? this.#firstToken.sumOf(1, work.promptTokens));
    this.#rest.add(work.answerTokens, Math.max(0, restMs));
  }

  /** The error of predictions: one standard deviation. */
  get spreadMs(): Milliseconds {
    return Math.sqrt(this.#firstToken.squaredError + this.#rest.squaredError);
  }

  /** For the work done one request after the other. */
  of({ requests, promptTokens, answerTokens }: Work): Milliseconds {
    if (this.#rest.count === 0) return requests * ASSUMED_BEFORE_ANY_MS;
    return this.#firstToken.sumOf(requests, promptTokens) + this.#rest.sumOf(requests, answerTokens);
  }
}

/**
 * A line through recent observations: a fixed part and a slope, neither negative. Where the x hardly differ the slope cannot be
 * known, and nearly everything becomes the fixed part.
 */
class RecentFit {
  count = 0;
  /** Of the observations against the line before them. */
  squaredError = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  add(x: number, y: number): void {
    this.count += 1;
    const weight = Math.max(NEWEST_WEIGHT, 1 / this.count);
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

class MovingAverage {
  #count = 0;
  #mean: number;

  constructor(initial: number) {
    this.#mean = initial;
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
