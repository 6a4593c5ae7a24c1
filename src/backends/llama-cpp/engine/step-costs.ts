/**
 * How slow a decode step was, beside the fastest of its kind: 1 is as fast as it gets. Steps of few and of many tokens
 * are not comparable, what a token costs in each depends on the machine. Pure. Owns the fastest of each kind.
 */
import type { Milliseconds } from '../../../core/clock.ts';

/** Up to here each number of tokens is a kind of its own, beyond them each doubling. */
const COUNTED_SINGLY = 16;

export class StepCosts {
  /** Per token, by kind. */
  readonly #fastestMs = new Map<number, Milliseconds>();

  relative(tokens: number, durationMs: Milliseconds): number {
    const kind = tokens <= COUNTED_SINGLY ? tokens : 2 ** Math.ceil(Math.log2(tokens));
    const tokenMs = durationMs / tokens;
    const fastestMs = Math.min(this.#fastestMs.get(kind) ?? tokenMs, tokenMs);
    this.#fastestMs.set(kind, fastestMs);
    return tokenMs / fastestMs;
  }
}
