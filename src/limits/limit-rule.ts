/** One limit of one holder: what it counts, how high it is, and under which counter. Pure. */

import type { Milliseconds } from '../core/clock.ts';
import {
  LIMIT_KINDS,
  LIMIT_NAMES,
  type LimitKind,
  type LimitName,
  type Limits,
} from '../core/limit-names.ts';
import { NANO_PER_UNIT } from '../core/usage-measures.ts';
import type { Bound } from './limit-store.ts';

/** Whose limit it is. */
export type LimitScope = 'all' | 'key' | 'team' | 'address' | 'model';

export interface LimitHolder {
  readonly scope: LimitScope;
  /** In the names of counters; empty: all. */
  readonly id: string;
  /** As people know it. */
  readonly name: string;
}

export interface LimitRule {
  readonly holder: LimitHolder;
  readonly name: LimitName | 'rate_limit';
  readonly counts: LimitKind['counts'];
  readonly span: LimitKind['span'];
  /** Requests, tokens, or billionths of the currency's unit. */
  readonly limit: number;
  /** Of a period, its beginning follows. */
  readonly counter: string;
}

/** What `rate_limit` is: requests in a window of any length. */
export interface RateLimitSetting {
  readonly requests: number;
  readonly windowSeconds: number;
}

/** How much too long a token may stay counted: this part of its window. It bounds what a counter keeps. */
const JOINED_PART = 1 / 1000;

export function rulesOf(holder: LimitHolder, limits: Limits): readonly LimitRule[] {
  return LIMIT_NAMES.flatMap((name) => {
    const limit = limits[name];
    if (limit === undefined) return [];
    const { counts, span } = LIMIT_KINDS[name];
    const counted = counts === 'money' ? Math.round(limit * NANO_PER_UNIT) : limit;
    return [{ holder, name, counts, span, limit: counted, counter: counterOf(holder, name) }];
  });
}

export function rateLimitRule(holder: LimitHolder, { requests, windowSeconds }: RateLimitSetting): LimitRule {
  const span = { kind: 'window', windowMs: windowSeconds * 1000 } as const;
  const counter = counterOf(holder, 'rate_limit');
  return { holder, name: 'rate_limit', counts: 'requests', span, limit: requests, counter };
}

/** The same limit, for another holder. */
export function heldBy(holder: LimitHolder, rule: LimitRule): LimitRule {
  return { ...rule, holder, counter: counterOf(holder, rule.name) };
}

function counterOf({ scope, id }: LimitHolder, name: LimitRule['name']): string {
  return scope === 'all' ? `all:${name}` : `${scope}:${id}:${name}`;
}

/** The UTC day and month at a time. */
export interface UtcPeriods {
  /** `2026-01-31` and `2026-01`, and when they end, since the Unix epoch. */
  readonly day: string;
  readonly dayEndsAt: Milliseconds;
  readonly month: string;
  readonly monthEndsAt: Milliseconds;
  readonly dayBeganAt: Milliseconds;
  readonly monthBeganAt: Milliseconds;
}

export function utcPeriodsAt(wallNow: Milliseconds): UtcPeriods {
  const date = new Date(wallNow);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const text = date.toISOString();
  return {
    day: text.slice(0, text.indexOf('T')),
    dayBeganAt: Date.UTC(year, month, day),
    dayEndsAt: Date.UTC(year, month, day + 1),
    month: text.slice(0, text.indexOf('T') - 3),
    monthBeganAt: Date.UTC(year, month, 1),
    monthEndsAt: Date.UTC(year, month + 1, 1),
  };
}

/** What it counts under, now. */
export function counterAt({ counter, span }: LimitRule, { day, month }: UtcPeriods): string {
  if (span.kind !== 'period') return counter;
  return `${counter}:${span.period === 'day' ? day : month}`;
}

export function boundAt({ counts, limit, span }: LimitRule, { dayEndsAt, monthEndsAt }: UtcPeriods): Bound {
  switch (span.kind) {
    case 'window': {
      const { windowMs } = span;
      if (counts === 'requests') return { kind: 'window', limit, windowMs };
      return { kind: 'window', limit, windowMs, joinWithinMs: windowMs * JOINED_PART };
    }
    case 'period':
      return { kind: 'period', limit, endsAt: span.period === 'day' ? dayEndsAt : monthEndsAt };
    case 'now':
      return { kind: 'now', limit };
    default:
      throw span satisfies never;
  }
}
