/** What a client is told that a limit refuses: which one, how high it is, when to come back. Pure. */

import { ServingError } from '../core/errors.ts';
import { NANO_PER_UNIT } from '../core/usage-measures.ts';
import type { PlannedCharges } from './limit-plan.ts';
import type { LimitRule, LimitScope } from './limit-rule.ts';
import { type CounterState, UNKNOWN_WAIT_MS } from './limit-store.ts';

interface Refusal {
  readonly rule: LimitRule;
  readonly state: CounterState;
  /** Of what it asked for; 0: not known yet. */
  readonly amount: number;
  /** Of a budget. */
  readonly endsAt: number | undefined;
  /** Nobody has said how long the answer may be. */
  readonly isGuess: boolean;
}

/** A budget is not used up while requests under way hold what is missing. */
function isOnlyHeld({ state, endsAt }: Refusal): boolean {
  return endsAt !== undefined && state.retryInMs <= UNKNOWN_WAIT_MS;
}

const HOLDERS: Readonly<Record<LimitScope, (name: string) => string>> = {
  all: () => 'this server',
  key: (name) => `the key ${name}`,
  team: (name) => `the team ${name}`,
  address: () => 'this address',
  model: (name) => `the model ${name}`,
};

/** Of the limit that has the request wait longest. */
export function refusalOf(
  {
    rules,
    charges,
    states,
    isGuess = false,
  }: Pick<PlannedCharges, 'rules' | 'charges' | 'isGuess'> & { readonly states: readonly CounterState[] },
  currency: string,
): ServingError {
  let longest: Refusal | undefined;
  for (const [index, rule] of rules.entries()) {
    const [state, charge] = [states[index], charges[index]];
    if (state === undefined || charge === undefined || state.retryInMs === 0) continue;
    if (longest !== undefined && longest.state.retryInMs >= state.retryInMs) continue;
    const endsAt = charge.bound.kind === 'period' ? charge.bound.endsAt : undefined;
    longest = { rule, state, amount: charge.amount, endsAt, isGuess };
  }
  // A store that admits nothing, though all limits would.
  return longest === undefined ? new ServingError('store_unavailable') : errorOf(longest, currency);
}

function errorOf(refusal: Refusal, currency: string): ServingError {
  const { rule, state, amount, endsAt, isGuess } = refusal;
  const { holder, name, span } = rule;
  const code = span.kind === 'period' && !isOnlyHeld(refusal) ? 'budget_exceeded' : 'rate_limited';
  const whose = `${name} of ${HOLDERS[holder.scope](holder.name)}`;
  const height = `${amountText(rule, state.limit, currency)} ${spanText(rule)}`;
  if (state.retryInMs === Number.POSITIVE_INFINITY) {
    const wanted = amountText(rule, Math.max(1, amount), currency);
    return new ServingError(code, {
      message:
        state.limit === 0
          ? `The limit ${whose} allows nothing: ${height}.`
          : `The request may use ${wanted}, which the limit ${whose} never allows: ${height}. Send a shorter prompt, or a smaller bound of the answer.`,
      retryAfterSeconds: Number.POSITIVE_INFINITY,
    });
  }
  const retryAfterSeconds = Math.max(1, Math.ceil(state.retryInMs / 1000));
  const wanted = amountText(rule, amount, currency);
  const own = isGuess
    ? `for this one ${wanted} would be reserved, as its answer has no bound: set max_tokens`
    : `this one may use ${wanted}, less with a smaller bound of the answer`;
  const left =
    state.remaining > 0
      ? ` Left beside what requests under way may use: ${amountText(rule, state.remaining, currency)}; ${own}.`
      : '';
  const held = isOnlyHeld(refusal) ? ' with what requests under way may use' : '';
  const reached = state.remaining > 0 ? 'is too low for the request now' : `is reached${held}`;
  const when =
    endsAt === undefined || isOnlyHeld(refusal)
      ? `Retry in ${retryAfterSeconds} s.`
      : `It begins anew at ${new Date(endsAt).toISOString().replace('.000Z', 'Z')}.`;
  return new ServingError(code, {
    message: `The limit ${whose} ${reached}: ${height}.${left} ${when}`,
    retryAfterSeconds,
  });
}

function amountText({ counts }: LimitRule, amount: number, currency: string): string {
  if (counts === 'money') return `${amount / NANO_PER_UNIT} ${currency}`;
  const noun = counts === 'requests' ? 'request' : 'token';
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

function spanText({ span }: LimitRule): string {
  switch (span.kind) {
    case 'window':
      return `in any ${durationText(span.windowMs / 1000)}`;
    case 'period':
      return `per UTC ${span.period}`;
    case 'now':
      return 'at the same time';
    default:
      throw span satisfies never;
  }
}

const UNITS = [
  [86_400, 'hours', 3600],
  [3600, 'minutes', 60],
] as const;

/** As the names of limits have it: a day is 24 hours, an hour 60 minutes. */
function durationText(seconds: number): string {
  for (const [whole, unit, inSeconds] of UNITS)
    if (seconds >= whole && seconds % inSeconds === 0) return `${seconds / inSeconds} ${unit}`;
  return `${seconds} second${seconds === 1 ? '' : 's'}`;
}
