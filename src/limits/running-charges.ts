/**
 * What requests use while they run beyond what was reserved for them: it is counted within a second, so that what comes next is judged by
 * it, not by an estimate that is known to be too low. Owns the list of what runs. Invariant: what was counted here of a request is in its
 * `outgrown`, which its settlement takes off.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { ConsumedTry, Consumption } from '../core/consumption.ts';
import type { CountedCharges } from './limit-plan.ts';
import type { LimitRule } from './limit-rule.ts';
import { type Charge, type LimitStore, withoutLimit } from './limit-store.ts';

export const LOOKED_AT_EVERY_MS: Milliseconds = 1000;

interface RunningChargesOptions {
  readonly clock: Pick<Clock, 'now' | 'schedule'>;
  readonly store: Pick<LimitStore, 'decide'>;
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
    for (const running of this.#running) this.#count(running);
    if (this.#running.length > 0) this.#lookLater();
  }

  #count({ counted, trace: { consumed } }: Running): void {
    const { clock, store, usedOf } = this.#options;
    if (consumed === undefined) return;
    const tries = consumed.triesSoFar(clock.now());
    const more: Charge[] = [];
    const indexes: number[] = [];
    for (const [index, rule] of counted.rules.entries()) {
      const charge = counted.charges[index];
      if (charge === undefined || !isOfUse(rule)) continue;
      const beyond = usedOf(rule, tries) - charge.amount - (counted.outgrown?.[index] ?? 0);
      if (beyond <= 0) continue;
      more.push(withoutLimit(charge, beyond));
      indexes.push(index);
    }
    if (more.length === 0) return;
    const outgrown = counted.outgrown ?? counted.rules.map(() => 0);
    counted.outgrown = outgrown;
    const add = (sign: 1 | -1) => {
      for (const [at, index] of indexes.entries())
        outgrown[index] = (outgrown[index] ?? 0) + sign * (more[at]?.amount ?? 0);
    };
    add(1);
    // A store that admits nothing has not counted it: the settlement does.
    const decision = store.decide(more, { isFinal: true });
    if (decision instanceof Promise) void decision.then(({ admission }) => admission ?? add(-1));
    else if (decision.admission === undefined) add(-1);
  }
}

function isOfUse({ counts, span }: LimitRule): boolean {
  return counts !== 'requests' && span.kind !== 'now';
}
