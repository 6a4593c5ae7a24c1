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

interface RunningChargesOptions {
  readonly clock: Pick<Clock, 'now' | 'schedule'>;
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
    this.#timer ??= this.#options.clock.schedule(LOOKED_AT_EVERY_MS, () => this.#look());
  }

  #look(): void {
    this.#timer = undefined;
    const { clock, store } = this.#options;
    const now = clock.now();
    const beyond = this.#running.flatMap((running) => this.#beyondReserved(running, now) ?? []);
    if (beyond.length > 0) store.countRunning(beyond);
    if (this.#running.length > 0) this.#lookLater();
  }

  #beyondReserved({ counted, trace: { consumed } }: Running, now: Milliseconds): UsedSoFar | undefined {
    if (consumed === undefined) return undefined;
    const tries = consumed.triesSoFar(now);
    const { admission, rules, charges } = counted;
    const amounts = rules.map((rule) => (isOfUse(rule) ? this.#options.usedOf(rule, tries) : 0));
    const isBeyond = amounts.some((amount, index) => amount > (charges[index]?.amount ?? 0));
    return isBeyond ? { admission, amounts } : undefined;
  }
}

function isOfUse({ counts, span }: LimitRule): boolean {
  return counts !== 'requests' && span.kind !== 'now';
}
