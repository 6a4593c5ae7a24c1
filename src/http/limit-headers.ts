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
  readonly name: LimitRule['name'];
  readonly scope: LimitScope;
  readonly limit: number;
  readonly span: LimitRule['span'];
  readonly policy: string;
  /** Up to what remains. */
  readonly remainder: string;
  /** The same, behind another one. */
  readonly furtherRemainder: string;
}

/** Of structured fields: 15 digits. */
const LARGEST_INTEGER = 999_999_999_999_999;

export class LimitHeaderTexts {
  /** The last of each name and scope: most holders have the same limits. */
  readonly #texts = new Map<LimitRule['name'], Map<LimitScope, QuotaText>>();
  /** Those of the last answer with the same limits, in their order. */
  #quotas: QuotaText[] = [];
  #policies = '';

  /**
   * Names and values, alternating. Money is not shown: what a team may spend is its own affair, and the fields are for whole numbers.
   * `first`: what was known before; what was only asked for then is known better now. `refused`: by one of them.
   */
  headersOf(
    known: KnownLimits,
    {
      first,
      refused,
      wallNow,
      limitHeaders,
    }: {
      readonly first?: KnownLimits | undefined;
      readonly refused: boolean;
      readonly wallNow: Milliseconds;
      readonly limitHeaders: Protocol['limitHeaders'];
    },
  ): readonly string[] {
    let any: CounterState | undefined;
    let requests: CounterState | undefined;
    let tokens: CounterState | undefined;
    let longestWait: CounterState | undefined;
    let count = 0;
    let remainders = '';
    const before = first?.rules.length ?? 0;
    for (let index = 0; index < before + known.rules.length; index += 1) {
      const isBefore = first !== undefined && index < before;
      const { rules, states } = isBefore ? first : known;
      const at = isBefore ? index : index - before;
      const [rule, state] = [rules[at], states[at]];
      if (rule === undefined || state === undefined || rule.counts === 'money') continue;
      if (isBefore && rule.counts !== 'requests') continue;
      any = tighterOf(any, state);
      if (rule.counts === 'tokens') tokens = tighterOf(tokens, state);
      else if (rule.span.kind === 'window') requests = tighterOf(requests, state);
      if (state.retryInMs > (longestWait?.retryInMs ?? 0)) longestWait = state;
      const quota = this.#quotaAt(count, rule, state.limit);
      remainders += count > 0 ? quota.furtherRemainder : quota.remainder;
      remainders += Math.min(state.remaining, LARGEST_INTEGER) + waitText(state.retryInMs);
      count += 1;
    }
    // Of limits on requests in a window, or else of any.
    const tightest = (refused ? longestWait : undefined) ?? requests ?? any;
    if (tightest === undefined) return [];
    const { limit, remaining, retryInMs } = tightest;
    const headers = ['x-ratelimit-limit', String(limit), 'x-ratelimit-remaining', String(remaining)];
    // Without a number where waiting does not help.
    if (Number.isFinite(retryInMs))
      headers.push('x-ratelimit-reset', String(Math.ceil((wallNow + retryInMs) / 1000)));
    headers.push('ratelimit-policy', this.#policiesOf(count), 'ratelimit', remainders);
    limitHeaders?.addTo(headers, { requests: amountOf(requests), tokens: amountOf(tokens) }, wallNow);
    return headers;
  }

  /** Mostly the one that was there in the last answer. */
  #quotaAt(index: number, rule: LimitRule, limit: number): QuotaText {
    const last = this.#quotas[index];
    if (last !== undefined && isTextOf(last, rule, limit)) return last;
    const quota = this.#textOf(rule, limit);
    this.#quotas[index] = quota;
    this.#policies = '';
    return quota;
  }

  /** Of the first so many that were noted. */
  #policiesOf(count: number): string {
    if (this.#quotas.length !== count) this.#policies = '';
    if (this.#policies !== '') return this.#policies;
    this.#quotas.length = count;
    this.#policies = this.#quotas.map(({ policy }) => policy).join(', ');
    return this.#policies;
  }

  #textOf(rule: LimitRule, limit: number): QuotaText {
    let byScope = this.#texts.get(rule.name);
    if (byScope === undefined) {
      byScope = new Map();
      this.#texts.set(rule.name, byScope);
    }
    const known = byScope.get(rule.holder.scope);
    if (known !== undefined && isTextOf(known, rule, limit)) return known;
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
  const remainder = `${quoted};r=`;
  const { scope } = holder;
  return { name, scope, limit, span, policy, remainder, furtherRemainder: `, ${remainder}` };
}

function isTextOf(text: QuotaText, { name, holder, span }: LimitRule, limit: number): boolean {
  return text.name === name && text.scope === holder.scope && text.limit === limit && text.span === span;
}

/** Nothing where waiting does not help. */
function waitText(retryInMs: Milliseconds): string {
  if (retryInMs === 0) return ';t=0';
  return Number.isFinite(retryInMs) ? `;t=${Math.ceil(retryInMs / 1000)}` : '';
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
