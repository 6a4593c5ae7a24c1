/**
 * What the headers of an answer say of limits: in the words that all clients know (X-RateLimit), in the IETF's fields (RateLimit,
 * RateLimit-Policy: draft-ietf-httpapi-ratelimit-headers-09), and in those of the protocol.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { LimitRule } from '../limits/limit-rule.ts';
import type { CounterState } from '../limits/limit-store.ts';
import type { Protocol, RemainingAmount } from '../protocols/protocol.ts';

export interface LimitState {
  readonly rule: LimitRule;
  readonly state: CounterState;
}

interface HeaderSetter {
  setHeader(name: string, value: string): void;
}

/** Money is not shown: what a team may spend is its own affair, and the fields are for whole numbers. */
const isShown = ({ rule }: LimitState): boolean => rule.counts !== 'money';

/** Of structured fields: 15 digits. */
const LARGEST_INTEGER = 999_999_999_999_999;

/** `refused`: by one of them. */
export function setLimitHeaders(
  to: HeaderSetter,
  given: readonly LimitState[],
  {
    refused,
    wallNow,
    limitHeaders,
  }: {
    readonly refused: boolean;
    readonly wallNow: Milliseconds;
    readonly limitHeaders: Protocol['limitHeaders'];
  },
): void {
  const states = given.every(isShown) ? given : given.filter(isShown);
  const tightest = refused ? (longestWait(states) ?? tightestOf(states)) : tightestOf(states);
  if (tightest === undefined) return;
  const { limit, remaining, retryInMs } = tightest.state;
  to.setHeader('x-ratelimit-limit', String(limit));
  to.setHeader('x-ratelimit-remaining', String(remaining));
  // Without a number where waiting does not help.
  if (Number.isFinite(retryInMs))
    to.setHeader('x-ratelimit-reset', String(Math.ceil((wallNow + retryInMs) / 1000)));
  let policies = '';
  let remainders = '';
  for (const { rule, state } of states) {
    if (policies !== '') {
      policies += ', ';
      remainders += ', ';
    }
    policies += policyOf(rule, Math.min(state.limit, LARGEST_INTEGER));
    remainders += `${nameOf(rule)};r=${Math.min(state.remaining, LARGEST_INTEGER)}`;
    if (Number.isFinite(state.retryInMs)) remainders += `;t=${Math.ceil(state.retryInMs / 1000)}`;
  }
  to.setHeader('ratelimit-policy', policies);
  to.setHeader('ratelimit', remainders);
  if (limitHeaders === undefined) return;
  const amounts = { requests: amountLeft(states, 'requests'), tokens: amountLeft(states, 'tokens') };
  for (const [name, value] of Object.entries(limitHeaders.of(amounts, wallNow))) to.setHeader(name, value);
}

/** Of limits on requests in a window, or else of any. */
function tightestOf(states: readonly LimitState[]): LimitState | undefined {
  return tightestBy(states, isRequestWindow) ?? tightestBy(states, () => true);
}

function isRequestWindow({ rule }: LimitState): boolean {
  return rule.counts === 'requests' && rule.span.kind === 'window';
}

/** The one with the longest wait, or else with the fewest left. */
function tightestBy(
  states: readonly LimitState[],
  counts: (state: LimitState) => boolean,
): LimitState | undefined {
  let tightest: LimitState | undefined;
  for (const each of states) {
    if (!counts(each)) continue;
    if (tightest === undefined || isTighter(each.state, tightest.state)) tightest = each;
  }
  return tightest;
}

function isTighter(one: CounterState, other: CounterState): boolean {
  if (one.remaining !== other.remaining) return one.remaining < other.remaining;
  return one.retryInMs > other.retryInMs;
}

function longestWait(states: readonly LimitState[]): LimitState | undefined {
  let longest: LimitState | undefined;
  for (const each of states) {
    if (each.state.retryInMs === 0) continue;
    if (longest === undefined || each.state.retryInMs > longest.state.retryInMs) longest = each;
  }
  return longest;
}

function amountLeft(
  states: readonly LimitState[],
  counts: 'requests' | 'tokens',
): RemainingAmount | undefined {
  const isOne = (each: LimitState) =>
    counts === 'requests' ? isRequestWindow(each) : each.rule.counts === 'tokens';
  const tightest = tightestBy(states, isOne);
  if (tightest === undefined) return undefined;
  const { limit, remaining, retryInMs } = tightest.state;
  return { limit, remaining, resetInMs: Number.isFinite(retryInMs) ? retryInMs : undefined };
}

/** A structured field's string, without anything that would have to be escaped. */
function nameOf({ holder, name }: LimitRule): string {
  return name === 'rate_limit' ? '"default"' : `"${holder.scope}.${name}"`;
}

/** Quota units, `limit` as it is enforced now: requests without a name for it, as the draft has it. */
function policyOf(rule: LimitRule, limit: number): string {
  const quota = `${nameOf(rule)};q=${limit}`;
  const unit = rule.counts === 'tokens' ? ';qu="tokens"' : '';
  switch (rule.span.kind) {
    case 'window':
      return `${quota}${unit};w=${Math.ceil(rule.span.windowMs / 1000)}`;
    case 'period':
      return quota + unit;
    case 'now':
      return `${quota};qu="concurrent-requests"`;
    default:
      throw rule.span satisfies never;
  }
}
