/**
 * What requests use while they run beyond what was reserved for them: it is counted within a second, so that what comes next is judged by
 * it, not by an estimate that is known to be too low. Owns the list of what runs. Invariant: their store is told what they have used in
 * all, never a difference: it alone knows what of it is counted, and where.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { ConsumedTry, Consumption } from '../core/consumption.ts';
import type { CountedCharges } from './limit-plan.ts';
import type { LimitRule } from './limit-rule.ts';
import type { LimitStore, UsedSoFar } from './limit-store.ts';

export const LOOKED_AT_EVERY_MS: Milliseconds = 1000;

/** In a turn: requests that come meanwhile are not to wait for all that run, nor a store to get all of it at once. */
const LOOKED_AT_ONCE = 256;

interface RunningChargesOptions {
  readonly clock: Pick<Clock, 'now' | 'schedule' | 'atEndOfTurn'>;
  readonly store: Pick<LimitStore, 'countRunning'>;
  /** What these tries have used of what the rule counts. */
  readonly usedOf: (rule: LimitRule, tries: readonly ConsumedTry[]) => number;
}

interface Running {
  readonly counted: CountedCharges;
  /** Has its consumption as soon as it waits for a slot. */
  readonly trace: { readonly consumed?: Pick<Consumption, 'triesSoFar'> };
}

export class RunningCharges {
  readonly #options: RunningChargesOptions;
  /** Each knows its place. */
  readonly #running: Running[] = [];
  /** Until all have been looked at. */
  #timer: Timer | undefined;

  constructor(options: RunningChargesOptions) {
    this.#options = options;
  }

  begun(counted: CountedCharges, trace: Running['trace']): void {
    if (!counted.rules.some(isOfUse)) return;
    counted.runsAt = this.#running.push({ counted, trace }) - 1;
    this.#lookLater();
  }

  ended(counted: CountedCharges): void {
    const at = counted.runsAt;
    if (at === undefined) return;
    counted.runsAt = undefined;
    const last = this.#running.pop();
    if (last === undefined || last.counted === counted) return;
    this.#running[at] = last;
    last.counted.runsAt = at;
  }

  /** One timer, however many run: not one for each of them. */
  #lookLater(): void {
    this.#timer ??= this.#options.clock.schedule(LOOKED_AT_EVERY_MS, () => this.#look(this.#running.length));
  }

  /** The last ones first, so that none is left out: in the place of one that ends comes one that was looked at. */
  #look(below: number): void {
    const { clock, store } = this.#options;
    const now = clock.now();
    const beyond: UsedSoFar[] = [];
    let next = Math.min(below, this.#running.length);
    for (let left = LOOKED_AT_ONCE; left > 0 && next > 0; left -= 1) {
      next -= 1;
      const used = this.#beyondReserved(this.#running[next], now);
      if (used !== undefined) beyond.push(used);
    }
    if (beyond.length > 0) store.countRunning(beyond);
    if (next > 0) {
      clock.atEndOfTurn(() => this.#look(next));
      return;
    }
    this.#timer = undefined;
    if (this.#running.length > 0) this.#lookLater();
  }

  #beyondReserved(running: Running | undefined, now: Milliseconds): UsedSoFar | undefined {
    // Those that have answered nothing may come to cost nothing.
    const tries = running?.trace.consumed
      ?.triesSoFar(now)
      .filter(({ completionTokens }) => completionTokens > 0);
    if (running === undefined || tries === undefined || tries.length === 0) return undefined;
    const { admission, rules, charges } = running.counted;
    const amounts = rules.map((rule) => (isOfUse(rule) ? this.#options.usedOf(rule, tries) : 0));
    const isBeyond = amounts.some((amount, index) => amount > (charges[index]?.amount ?? 0));
    return isBeyond ? { admission, amounts } : undefined;
  }
}

function isOfUse({ counts, span }: LimitRule): boolean {
  return counts !== 'requests' && span.kind !== 'now';
}
