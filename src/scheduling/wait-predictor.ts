/**
 * How long requests take, learned from those that were served lately, and how long one will wait: the work ahead of it,
 * and half of what is running, spread over the slots. A service has two parts, up to the first token and after it; each
 * is a fixed cost and one per token, fitted to the recent ones. What is learned counts estimated tokens, so that
 * estimates that are off by a factor are off here by that factor too, and cancel out.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { Work } from './work.ts';

/** How much the newest observation weighs once there are some: the last 40 or so count. */
const WEIGHT_OF_NEWEST = 0.05;
/** Before so many nothing is refused for a prediction. */
const TRUSTED_AFTER = 8;
const ASSUMED_BEFORE_ANY_MS = 1000;
/** Of what runs, this part is still to come on average. */
const STILL_TO_COME = 0.5;

export interface ServiceSample {
  readonly work: Work;
  readonly durationMs: Milliseconds;
  readonly firstTokenMs: Milliseconds;
}

export interface Depth {
  readonly ahead: Work;
  readonly running: Work;
  /** Served at the same time. */
  readonly slots: number;
}

export class WaitPredictor {
  readonly #firstToken = new RecentFit();
  readonly #rest = new RecentFit();

  /** Enough was seen to refuse requests for it. */
  get isTrusted(): boolean {
    return this.#rest.count >= TRUSTED_AFTER;
  }

  record({ work, durationMs, firstTokenMs }: ServiceSample): void {
    this.#firstToken.add(work.promptTokens, Math.max(0, firstTokenMs));
    this.#rest.add(work.answerTokens, Math.max(0, durationMs - firstTokenMs));
  }

  serviceMs({ requests, promptTokens, answerTokens }: Work): Milliseconds {
    if (this.#rest.count === 0) return requests * ASSUMED_BEFORE_ANY_MS;
    return this.#firstToken.sumOf(requests, promptTokens) + this.#rest.sumOf(requests, answerTokens);
  }

  waitMs({ ahead, running, slots }: Depth): Milliseconds {
    return (this.serviceMs(ahead) + STILL_TO_COME * this.serviceMs(running)) / Math.max(1, slots);
  }
}

/**
 * A line through recent observations: a fixed part and one per unit, never negative. Where the units hardly differ their
 * slope is not to be known, and nearly all becomes the fixed part.
 */
class RecentFit {
  count = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  add(x: number, y: number): void {
    this.count += 1;
    const weight = Math.max(WEIGHT_OF_NEWEST, 1 / this.count);
    this.#x += weight * (x - this.#x);
    this.#y += weight * (y - this.#y);
    this.#xx += weight * (x * x - this.#xx);
    this.#xy += weight * (x * y - this.#xy);
  }

  /** The sum of y over `count` observations whose x sum up to `x`. */
  sumOf(count: number, x: number): number {
    const variance = Math.max(0, this.#xx - this.#x ** 2);
    const damping = SLOPE_DAMPING * this.#x ** 2;
    const covariance = this.#xy - this.#x * this.#y;
    const steepest = this.#x > 0 ? this.#y / this.#x : 0;
    const slope =
      variance + damping > 0 ? Math.min(steepest, Math.max(0, covariance / (variance + damping))) : 0;
    return count * (this.#y - slope * this.#x) + slope * x;
  }
}

/** Against the slope that mere noise has where the units hardly differ; relative to their mean, squared. */
const SLOPE_DAMPING = 0.02;
