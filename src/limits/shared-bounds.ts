/**
 * The bounds of limits that are equal, as one object: most holders have the same, and a decision about any of them finds it where the last
 * one has left it in the cache. Owns those; of very many different ones it forgets and begins anew.
 */
import { boundAt, type LimitRule, type UtcPeriods } from './limit-rule.ts';
import type { Bound } from './limit-store.ts';

const MAX_LIMITS = 1000;

export class SharedBounds {
  #periods: UtcPeriods | undefined;
  /** By the rule's name, which says its span – that of `rate_limit` is the same in all settings of one plan –, then by the limit. */
  readonly #byName = new Map<LimitRule['name'], Map<number, Bound>>();

  of(rule: LimitRule, periods: UtcPeriods): Bound {
    if (periods !== this.#periods) this.#byName.clear();
    this.#periods = periods;
    let byLimit = this.#byName.get(rule.name);
    if (byLimit === undefined || byLimit.size >= MAX_LIMITS) {
      byLimit = new Map();
      this.#byName.set(rule.name, byLimit);
    }
    let bound = byLimit.get(rule.limit);
    if (bound === undefined) {
      bound = boundAt(rule, periods);
      byLimit.set(rule.limit, bound);
    }
    return bound;
  }
}
