/** A limit with what remains of it, as GET /v1/usage and the administration list it. */
import type { Milliseconds } from '../core/clock.ts';
import { NANO_PER_UNIT } from '../core/usage-measures.ts';
import type { LimitRule, UtcPeriods } from '../limits/limit-rule.ts';
import type { CounterState } from '../limits/limit-store.ts';

/** What remains of a limit, for operators and the holders of keys. */
export interface LimitRow {
  /** `all`, `key:alice`, `team:red`, `model:ID`. */
  readonly scope: string;
  readonly name: LimitRule['name'];
  /** Requests, tokens, or units of the currency. */
  readonly limit: number;
  readonly remaining: number;
  /** When one more would be admitted, null: it would be now; of a budget, when it begins anew. */
  readonly resets_at: string | null;
}

/** A limit as it was found. */
interface KnownLimit {
  readonly state: CounterState;
  readonly wallNow: Milliseconds;
  readonly periods: UtcPeriods;
}

export function rowOf(rule: LimitRule, known: KnownLimit): LimitRow {
  const { state } = known;
  const unit = rule.counts === 'money' ? NANO_PER_UNIT : 1;
  const { scope, name } = rule.holder;
  return {
    scope: name === '' ? scope : `${scope}:${name}`,
    name: rule.name,
    limit: state.limit / unit,
    remaining: state.remaining / unit,
    resets_at: resetOf(rule, known),
  };
}

function resetOf({ span }: LimitRule, { state: { retryInMs }, wallNow, periods }: KnownLimit): string | null {
  if (span.kind === 'period') {
    const endsAt = span.period === 'day' ? periods.dayEndsAt : periods.monthEndsAt;
    return new Date(endsAt).toISOString();
  }
  return retryInMs === 0 || !Number.isFinite(retryInMs) ? null : new Date(wallNow + retryInMs).toISOString();
}
