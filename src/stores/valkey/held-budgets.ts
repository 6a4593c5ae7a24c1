/**
 * What the requests of this replica that are under way hold of budgets: by it the server's own note is corrected where answers were lost.
 * Pure; owns those sums. Invariant: a counter is here as long as something is held of it, or what the server has is in doubt.
 */
import { type Charge, isHeld } from '../../limits/limit-store.ts';

interface Held {
  readonly counter: string;
  /** Of requests that are not settled. */
  amount: number;
  requests: number;
}

export class HeldBudgets {
  readonly #byCounter = new Map<string, Held>();
  readonly #doubtful = new Set<string>();

  /** One request more holds these, or one less. */
  add(charges: readonly Charge[], requests: 1 | -1): void {
    for (const charge of charges) {
      if (!isHeld(charge)) continue;
      const { counter, amount } = charge;
      const held = this.#byCounter.get(counter) ?? { counter, amount: 0, requests: 0 };
      held.requests += requests;
      // Sums of very large amounts are rounded.
      held.amount = held.requests <= 0 ? 0 : held.amount + requests * amount;
      if (held.requests > 0) this.#byCounter.set(counter, held);
      else this.#byCounter.delete(counter);
    }
  }

  doubt(charges: readonly Pick<Charge, 'counter' | 'bound'>[]): void {
    for (const { counter, bound } of charges) if (bound.kind === 'period') this.#doubtful.add(counter);
  }

  doubtCounter(counter: string): void {
    this.#doubtful.add(counter);
  }

  /** At most so many, which are not in doubt from now on. */
  takeDoubtful(count: number): readonly Pick<Held, 'counter' | 'amount'>[] {
    const taken: Pick<Held, 'counter' | 'amount'>[] = [];
    for (const counter of this.#doubtful) {
      if (taken.length === count) break;
      this.#doubtful.delete(counter);
      taken.push(this.#byCounter.get(counter) ?? { counter, amount: 0 });
    }
    return taken;
  }
}
