/** What is known of a model from serving it: how long its answers are, how long they take, how long one waits for them. */
import type { Milliseconds } from '../core/clock.ts';
import type { QueueEntry, Settlement } from './decision.ts';
import { RecentMean } from './recent-mean.ts';
import { ServiceTime } from './service-time.ts';
import { type Ahead, type Service, WaitPredictor } from './wait-predictor.ts';
import type { Waiting } from './waiting.ts';
import type { Work } from './work.ts';

/** Before the model has answered anything: tokens of an answer whose client set no bound. */
const ASSUMED_ANSWER_TOKENS = 256;
/** So much is kept for an answer before its deadline: a little more than predicted, and twice the usual error. */
const SERVICE_ALLOWANCE = 1.1;
const SPREAD_ALLOWANCE = 2;
/** How fast the longest answer is forgotten: by half within 140 shorter ones. */
const LONGEST_FORGOTTEN_PER_ANSWER = 0.005;
/** No model answers at more length: keeps the sums exact, whatever bounds clients set. */
const LARGEST_CHARGE_TOKENS = 10_000_000;
/** One in so many predictions is held against what comes of it. */
const FOLLOWED_UP = 16;

export class Experience {
  readonly #serviceTime = new ServiceTime();
  readonly #predictor = new WaitPredictor(this.#serviceTime);
  readonly #answerTokens = new RecentMean(ASSUMED_ANSWER_TOKENS);
  #longestAnswerTokens = ASSUMED_ANSWER_TOKENS;

  /** There is enough of it to refuse requests for what it says. */
  get isTrusted(): boolean {
    return this.#serviceTime.isTrusted;
  }

  waitMs(ahead: Ahead, service: Service): Milliseconds {
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
      charged: Math.min(maxTokens, LARGEST_CHARGE_TOKENS),
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
    waiting: Waiting,
    now: Milliseconds,
    { ahead, service }: { ahead: () => Ahead; service: Service },
  ): void {
    if (waiting.arrival % FOLLOWED_UP !== 0) return;
    const { work, canBeOvertaken } = ahead();
    if (canBeOvertaken)
      waiting.prediction = { madeAt: now, waitMs: this.#predictor.uncorrectedMs(work, service) };
  }

  granted({ prediction }: Waiting, now: Milliseconds): void {
    if (prediction)
      this.#predictor.learn({ predictedMs: prediction.waitMs, waitedMs: now - prediction.madeAt });
  }

  ended(granted: Waiting, settlement: Settlement, durationMs: Milliseconds): void {
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
