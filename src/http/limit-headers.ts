/**
 * What the headers of an answer say of limits: in the words that all clients know (X-RateLimit), in the IETF's fields (RateLimit,
 * RateLimit-Policy: draft-ietf-httpapi-ratelimit-headers-09), and in those of the protocol. Every answer has them, so what is the same in
 * all of them is put together once. Owns those texts.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { LimitRule, LimitScope } from '../limits/limit-rule.ts';
import type { CounterState } from '../limits/limit-store.ts';
import type { Protocol, RemainingAmount } from '../protocols/protocol.ts';

/** Limits and what remains of each, in the same order. */
export interface KnownLimits {
  readonly rules: readonly LimitRule[];
  readonly states: readonly CounterState[];
}

/** The limit of a rule, and how it is written. */
interface QuotaText {
  readonly limit: number;
  readonly span: LimitRule['span'];
  readonly policy: string;
  /** Up to what remains. */
  readonly remainder: string;
}

/** Of structured fields: 15 digits. */
const LARGEST_INTEGER = 999_999_999_999_999;

export class LimitHeaderTexts {
  /** The last of each name and scope: most holders have the same limits. */
  readonly #texts = new Map<LimitRule['name'], Map<LimitScope, QuotaText>>();
  /** Those of the last answer. */
  #policies: { readonly of: readonly QuotaText[]; readonly text: string } = { of: [], text: '' };

  /**
   * Names and values, alternating. Money is not shown: what a team may spend is its own affair, and the fields are for whole numbers.
   * `refused`: by one of them.
   */
  headersOf(
    { rules, states }: KnownLimits,
    {
      refused,
      wallNow,
      limitHeaders,
    }: {
      readonly refused: boolean;
      readonly wallNow: Milliseconds;
      readonly limitHeaders: Protocol['limitHeaders'];
    },
  ): readonly string[] {
    let any: CounterState | undefined;
    let requests: CounterState | undefined;
    let tokens: CounterState | undefined;
    let longestWait: CounterState | undefined;
    const quotas: QuotaText[] = [];
    let remainders = '';
    for (let index = 0; index < rules.length; index += 1) {
      const [rule, state] = [rules[index], states[index]];
      if (rule === undefined || state === undefined || rule.counts === 'money') continue;
      any = tighterOf(any, state);
      if (rule.counts === 'tokens') tokens = tighterOf(tokens, state);
      else if (rule.span.kind === 'window') requests = tighterOf(requests, state);
      if (state.retryInMs > (longestWait?.retryInMs ?? 0)) longestWait = state;
      const quota = this.#textOf(rule, state.limit);
      if (quotas.length > 0) remainders += ', ';
      quotas.push(quota);
      remainders += quota.remainder + Math.min(state.remaining, LARGEST_INTEGER);
      if (Number.isFinite(state.retryInMs)) remainders += `;t=${Math.ceil(state.retryInMs / 1000)}`;
    }
    // Of limits on requests in a window, or else of any.
    const tightest = (refused ? longestWait : undefined) ?? requests ?? any;
    if (tightest === undefined) return [];
    const { limit, remaining, retryInMs } = tightest;
    const headers = ['x-ratelimit-limit', String(limit), 'x-ratelimit-remaining', String(remaining)];
    // Without a number where waiting does not help.
    if (Number.isFinite(retryInMs))
      headers.push('x-ratelimit-reset', String(Math.ceil((wallNow + retryInMs) / 1000)));
    headers.push('ratelimit-policy', this.#policiesOf(quotas), 'ratelimit', remainders);
    limitHeaders?.addTo(headers, { requests: amountOf(requests), tokens: amountOf(tokens) }, wallNow);
    return headers;
  }

  #policiesOf(quotas: readonly QuotaText[]): string {
    const { of, text } = this.#policies;
    if (of.length === quotas.length && of.every((quota, index) => quota === quotas[index])) return text;
    this.#policies = { of: quotas, text: quotas.map(({ policy }) => policy).join(', ') };
    return this.#policies.text;
  }

  #textOf(rule: LimitRule, limit: number): QuotaText {
    let byScope = this.#texts.get(rule.name);
    if (byScope === undefined) {
      byScope = new Map();
      this.#texts.set(rule.name, byScope);
    }
    const known = byScope.get(rule.holder.scope);
    if (known !== undefined && known.limit === limit && known.span === rule.span) return known;
    const text = quotaText(rule, limit);
    byScope.set(rule.holder.scope, text);
    return text;
  }
}

/** The one with the fewest left, or else with the longest wait. */
function tighterOf(one: CounterState | undefined, other: CounterState): CounterState {
  if (one === undefined || other.remaining < one.remaining) return other;
  return other.remaining === one.remaining && other.retryInMs > one.retryInMs ? other : one;
}

function amountOf(state: CounterState | undefined): RemainingAmount | undefined {
  if (state === undefined) return undefined;
  const { limit, remaining, retryInMs } = state;
  return { limit, remaining, resetInMs: Number.isFinite(retryInMs) ? retryInMs : undefined };
}

/** `limit`: as it is enforced now. */
function quotaText(rule: LimitRule, limit: number): QuotaText {
  const { holder, name, span } = rule;
  // A structured field's string, without anything that would have to be escaped.
  const quoted = name === 'rate_limit' ? '"default"' : `"${holder.scope}.${name}"`;
  const policy = `${quoted};q=${Math.min(limit, LARGEST_INTEGER)}${unitOf(rule)}`;
  return { limit, span, policy, remainder: `${quoted};r=` };
}

/** Quota unit and window: requests without a name for it, as the draft has it. */
function unitOf({ counts, span }: LimitRule): string {
  const unit = counts === 'tokens' ? ';qu="tokens"' : '';
  switch (span.kind) {
    case 'window':
      return `${unit};w=${Math.ceil(span.windowMs / 1000)}`;
    case 'period':
      return unit;
    case 'now':
      return ';qu="concurrent-requests"';
    default:
      throw span satisfies never;
  }
}
