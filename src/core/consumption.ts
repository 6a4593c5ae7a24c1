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

/** What a try uses, while it runs. */
interface RunningTry {
  readonly attempt: EndingTry['attempt'];
  readonly work: { readonly used: UsedTokens };
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
  readonly #running: RunningTry[] = [];

  begun(attempt: RunningTry['attempt'], work: RunningTry['work']): void {
    this.#running.push({ attempt, work });
  }

  /** Also of those that still run, as far as it is known. */
  triesSoFar(now: Milliseconds): readonly ConsumedTry[] {
    if (this.#running.length === 0) return this.tries;
    const running = this.#running.map(({ attempt: { model, target, startedAt }, work: { used } }) => ({
      model,
      target,
      promptTokens: used.promptTokens,
      cachedTokens: used.cachedTokens,
      completionTokens: used.answerTokens,
      slotMs: now - startedAt,
    }));
    return [...this.tries, ...running];
  }

  add({ attempt, used, now, costs }: EndingTry): void {
    const { model, target, startedAt } = attempt;
    const at = this.#running.findIndex((running) => running.attempt === attempt);
    if (at !== -1) this.#running.splice(at, 1);
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
