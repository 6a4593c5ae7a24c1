/**
 * What a request used of its targets, over all tries of all its choices, also of those that failed or were cancelled. Limits, budgets and
 * usage are made from it. Pure.
 */
import type { Milliseconds } from './clock.ts';
import type { ModelId } from './generation.ts';

/** Tokens that a try has used so far. */
export interface UsedTokens {
  readonly promptTokens: number;
  /** Of the prompt's. */
  readonly cachedTokens: number;
  readonly answerTokens: number;
}

/** Tokens that cost something. */
export interface ConsumedTokens {
  readonly promptTokens: number;
  /** The part of `promptTokens` that was cached. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** Of one try. */
export interface ConsumedTry extends ConsumedTokens {
  /** The model that was asked there: of a fallback, not the one that the client named. */
  readonly model: ModelId;
  readonly target: string;
  /** From the slot to the end of the answer. */
  readonly slotMs: Milliseconds;
}

/** A try that ends now. */
interface EndingTry {
  readonly attempt: { readonly model: ModelId; readonly target: string; readonly startedAt: Milliseconds };
  readonly used: UsedTokens;
  readonly now: Milliseconds;
  /** False: its server failed before it answered anything; whatever it did for the prompt, the client does not pay for it. */
  readonly costs: boolean;
}

/** The sums, and what they are made of. */
export class Consumption implements ConsumedTokens {
  promptTokens = 0;
  cachedTokens = 0;
  completionTokens = 0;
  slotMs: Milliseconds = 0;
  /** In the order in which they ended. */
  readonly tries: ConsumedTry[] = [];

  add({ attempt: { model, target, startedAt }, used, now, costs }: EndingTry): void {
    const promptTokens = costs ? used.promptTokens : 0;
    const cachedTokens = costs ? used.cachedTokens : 0;
    const completionTokens = costs ? used.answerTokens : 0;
    const slotMs = now - startedAt;
    this.promptTokens += promptTokens;
    this.cachedTokens += cachedTokens;
    this.completionTokens += completionTokens;
    this.slotMs += slotMs;
    this.tries.push({ model, target, promptTokens, cachedTokens, completionTokens, slotMs });
  }
}
