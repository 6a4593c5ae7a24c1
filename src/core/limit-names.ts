/**
 * The limits that a key, a team, an address, a model, or the server as a whole can have. Configuration, command line, database and
 * answers share these names.
 */
import type { Milliseconds } from './clock.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `window`: in any span of that length. `period`: from the beginning of the UTC day or month. `now`: at the same time. */
export type LimitSpan =
  | { readonly kind: 'window'; readonly windowMs: Milliseconds }
  | { readonly kind: 'period'; readonly period: 'day' | 'month' }
  | { readonly kind: 'now' };

export interface LimitKind {
  readonly counts: 'requests' | 'tokens' | 'money';
  readonly span: LimitSpan;
  readonly description: string;
}

const within = (windowMs: Milliseconds) => ({ kind: 'window', windowMs }) as const;
const perPeriod = (period: 'day' | 'month') => ({ kind: 'period', period }) as const;

/** Tokens are those of prompts and answers. */
export const LIMIT_KINDS = {
  requests_per_minute: {
    counts: 'requests',
    span: within(MINUTE_MS),
    description: 'Requests in any 60 seconds.',
  },
  requests_per_hour: {
    counts: 'requests',
    span: within(HOUR_MS),
    description: 'Requests in any 60 minutes.',
  },
  requests_per_day: { counts: 'requests', span: within(DAY_MS), description: 'Requests in any 24 hours.' },
  tokens_per_minute: {
    counts: 'tokens',
    span: within(MINUTE_MS),
    description: 'Tokens of prompts and answers in any 60 seconds.',
  },
  tokens_per_hour: {
    counts: 'tokens',
    span: within(HOUR_MS),
    description: 'Tokens of prompts and answers in any 60 minutes.',
  },
  tokens_per_day: {
    counts: 'tokens',
    span: within(DAY_MS),
    description: 'Tokens of prompts and answers in any 24 hours.',
  },
  concurrent_requests: {
    counts: 'requests',
    span: { kind: 'now' },
    description:
      'Requests at the same time, those that wait included. One that asks for several answers (`n`) counts once.',
  },
  token_budget_per_day: {
    counts: 'tokens',
    span: perPeriod('day'),
    description: 'Tokens of prompts and answers per UTC day.',
  },
  token_budget_per_month: {
    counts: 'tokens',
    span: perPeriod('month'),
    description: 'Tokens of prompts and answers per UTC month.',
  },
  budget_per_day: {
    counts: 'money',
    span: perPeriod('day'),
    description: 'Money per UTC day, in the currency of prices: up to 9,000,000,000 units.',
  },
  budget_per_month: {
    counts: 'money',
    span: perPeriod('month'),
    description: 'Money per UTC month, in the currency of prices: up to 9,000,000,000 units.',
  },
} as const satisfies Readonly<Record<string, LimitKind>>;

/** In units of the currency. Beyond it the store of usage could not count what was used, in its 64 bits of a thousand-millionth of one. */
export const MAX_BUDGET = 9_000_000_000;

export type LimitName = keyof typeof LIMIT_KINDS;

export const LIMIT_NAMES = Object.keys(LIMIT_KINDS) as readonly LimitName[];

/** Absent: no such limit. Money in units of the currency, all others whole numbers. */
export type Limits = Readonly<Partial<Record<LimitName, number>>>;
