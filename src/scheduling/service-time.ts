/**
 * How long requests take, learned from those that were served lately. A service has two parts, up to the first token and
 * after it; each is a fixed cost and one per token, fitted to the recent ones. What is learned counts estimated tokens,
 * so that estimates that are off by a factor are off here by that factor too, and cancel out.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { Work } from './work.ts';

/** How much the newest observation weighs once there are some: the last 100 or so count. */
const WEIGHT_OF_NEWEST = 0.02;
/** Against the slope that mere noise has where the tokens hardly differ; relative to their mean, squared. */
const SLOPE_DAMPING = 0.02;
/** Before so many nothing is refused for a prediction. */
const TRUSTED_AFTER = 8;
const ASSUMED_BEFORE_ANY_MS = 1000;

export interface ServiceSample {
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
