/** Pure: limits, times and states of keys as the Admin view writes them. */
import {
  LIMIT_KINDS,
  LIMIT_NAMES,
  type LimitKind,
  type LimitName,
  type Limits,
} from '../../src/core/limit-names.ts';
import { number } from '../ui/amounts.ts';
import type { KeyView, LimitState } from './api.ts';

const WINDOW_WORDS: Readonly<Record<number, string>> = {
  60000: 'a minute',
  3600000: 'an hour',
  86400000: 'in 24 h',
};

function spanInWords({ span }: LimitKind): string {
  if (span.kind === 'now') return 'at once';
  if (span.kind === 'period') return `a UTC ${span.period}`;
  return WINDOW_WORDS[span.windowMs] ?? `in ${span.windowMs / 1_000} s`;
}

function isLimitName(name: string): name is LimitName {
  return name in LIMIT_KINDS;
}

/** `requests a minute`, `tokens a UTC day`; a name that this page does not know as it is. */
export function limitName(name: string, currency: string): string {
  if (name === 'rate_limit') return 'requests (rate_limit)';
  if (!isLimitName(name)) return name.replaceAll('_', ' ');
  const kind: LimitKind = LIMIT_KINDS[name];
  return `${kind.counts === 'money' ? currency : kind.counts} ${spanInWords(kind)}`;
}

/** `3 requests a minute, 100,000 tokens in 24 hours`. */
export function limitsInWords(limits: Limits, currency: string): string {
  return LIMIT_NAMES.flatMap((name) => {
    const limit = limits[name];
    return limit === undefined || limit === null ? [] : [`${amount(limit)} ${limitName(name, currency)}`];
  }).join(', ');
}

/** Whole numbers, and money with its cents; of less than one unit with more digits. */
export function amount(value: number): string {
  return Number.isInteger(value)
    ? number(value)
    : value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) < 1 ? 4 : 2 });
}

/** `2026-01-31 14:05`, UTC as all periods are. */
export function moment(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}

/** `14:05` of today, else with its day; UTC. */
export function soon(iso: string, now: number): string {
  const today = new Date(now).toISOString().slice(0, 10);
  return iso.startsWith(today) ? iso.slice(11, 16) : moment(iso);
}

export type KeyState = 'active' | 'expired' | 'revoked' | 'damaged';

export function stateOf({ revoked_at, expires_at, damage }: KeyView, now: number): KeyState {
  if (damage !== undefined) return 'damaged';
  if (revoked_at !== null) return 'revoked';
  return expires_at !== null && Date.parse(expires_at) <= now ? 'expired' : 'active';
}

/** `revoked 2026-01-31 14:05`, `active, the old secret until 2026-02-01 14:05`. */
export function stateInWords(key: KeyView, now: number): string {
  const state = stateOf(key, now);
  if (state === 'damaged') return `refused: ${key.damage} can’t be read`;
  if (state === 'revoked') return `revoked ${moment(key.revoked_at ?? '')}`;
  if (state === 'active' && key.overlap_until !== null && Date.parse(key.overlap_until) > now)
    return `active, the old secret until ${moment(key.overlap_until)}`;
  return state;
}

/** `key:alice` is `key alice`, `all` is `the whole server`. */
export function scopeInWords(scope: string): string {
  if (scope === 'all') return 'the whole server';
  const colon = scope.indexOf(':');
  return colon === -1 ? scope : `${scope.slice(0, colon)} ${scope.slice(colon + 1)}`;
}

/** Between 0 and 1. */
export function shareUsed({ limit, remaining }: LimitState): number {
  if (limit <= 0) return 1;
  return Math.min(1, Math.max(0, (limit - remaining) / limit));
}

/** The most used first. */
export function tightestFirst(states: readonly LimitState[]): readonly LimitState[] {
  return [...states].sort((one, other) => shareUsed(other) - shareUsed(one));
}

/** Whether one of the texts has each word of the filter. */
export function fits(filter: string, ...texts: readonly (string | null)[]): boolean {
  const all = texts.join('\n').toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}
