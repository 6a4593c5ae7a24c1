/**
 * Where limits are counted: in this process (memory), or in a Valkey that all replicas share. Both keep the same contract
 * (test/contract/limit-store).
 */
import type { Milliseconds } from '../core/clock.ts';

/** One bound that a request is held against. */
export interface Charge {
  /**
   * What is counted, the same in all replicas: `key:key_3f…:requests_per_minute`; of a period with its beginning. The part before the
   * first colon is its scope. A decision names each counter once.
   */
  readonly counter: string;
  readonly bound: Bound;
  /**
   * Counted at once if all charges of a decision are admitted; `settle` replaces it. 0 counts nothing, and is refused where nothing
   * remains: what is not known yet is not begun in vain.
   */
  readonly amount: number;
  /** A store may keep there where it has the counter. */
  readonly place?: CounterPlace | undefined;
}

/** Only a hint, for the store that wrote it: what is looked up by name need not be looked up again. */
export interface CounterPlace {
  store: object | undefined;
  number: number;
  generation: number;
  /** Of which this is a copy, where the same is kept. */
  readonly origin?: CounterPlace | undefined;
}

export type Bound =
  /**
   * Never more than `limit` in any span of that length, as far as amounts are known when they are admitted. `joinWithinMs`: amounts that
   * come within that time may be counted as one, at the time of the last of them: so memory is bounded, and each may stay counted that
   * much too long. Absent: exact.
   */
  | {
      readonly kind: 'window';
      readonly limit: number;
      readonly windowMs: Milliseconds;
      readonly joinWithinMs?: Milliseconds;
    }
  /**
   * Never more than `limit` until `endsAt` (since the Unix epoch), then from 0 under another counter. What is counted is held for the request
   * until it is settled; without a limit (NO_LIMIT) it is used already.
   */
  | { readonly kind: 'period'; readonly limit: number; readonly endsAt: Milliseconds }
  /** Never more than `limit` at the same time; `settle` takes the amount back. */
  | { readonly kind: 'now'; readonly limit: number };

/** Until a counter has room again that has it when requests end. */
export const UNKNOWN_WAIT_MS: Milliseconds = 1000;

/** Of what is counted without one. A number that also reaches another process, where JSON has no word for Infinity. */
export const NO_LIMIT = Number.MAX_VALUE;

/** A replica's share of no limit is none either. */
const LIMITS_BELOW = 1e300;

/** It takes part of a budget, and may give back some of it when it is settled. */
export function isHeld({ bound, amount }: Charge): boolean {
  return bound.kind === 'period' && amount > 0 && bound.limit < LIMITS_BELOW;
}

/** It is counted whatever the limit: it was used already. */
export function withoutLimit({ counter, bound, place }: Charge, amount: number): Charge {
  return { counter, bound: { ...bound, limit: NO_LIMIT }, amount, place };
}

/** A counter after the decision. */
export interface CounterState {
  readonly limit: number;
  /** What could still be admitted; never negative. */
  readonly remaining: number;
  /**
   * Until the charge's amount, at least 1, would be admitted by this counter; 0: it would be now. Infinity: never. UNKNOWN_WAIT_MS: when
   * requests end; also of a period, where it would be admitted without what is held for those under way.
   */
  readonly retryInMs: Milliseconds;
}

export interface LimitDecision {
  /**
   * What was counted. Undefined: refused, and nothing was counted. Where no state has a wait, a shared store can't be asked, and
   * `limits.on_failure` is `closed`.
   */
  readonly admission: LimitAdmission | undefined;
  /** In the order of the charges. */
  readonly states: readonly CounterState[];
}

/** The store's own note of what it has counted; opaque. */
export interface LimitAdmission {
  readonly charges: readonly Charge[];
}

/** What a request that was admitted has used so far, in the order of its charges. */
export interface UsedSoFar {
  readonly admission: LimitAdmission;
  readonly amounts: readonly number[];
}

/** A decision that is not known here yet, and that more may depend on. */
export interface DecisionAhead {
  /** The store's own number of it. */
  readonly call: number;
  readonly decision: Promise<LimitDecision>;
}

export interface LimitStore {
  /** Whether what it knows is elsewhere: it is not asked for what nobody needs. */
  readonly isShared: boolean;
  /** It keeps each admission until that is settled: so each has to be, unless its decision was final. Absent: it does not. */
  readonly keepsAdmissions?: boolean;
  /** Admits and counts all charges, or none. A store in memory decides at once. Never rejects: a shared one has a fallback. `isFinal`: it will not be settled. */
  decide(
    charges: readonly Charge[],
    options?: { readonly isFinal?: boolean },
  ): LimitDecision | Promise<LimitDecision>;
  /**
   * As `decide`, where the process that decides also gives out the slots: what it is asked meanwhile may name the decision, and counts only
   * if that admits. `after`: this one does so. Absent: each decision is awaited.
   */
  decideAhead?(charges: readonly Charge[], after: number | undefined): DecisionAhead;
  /**
   * These requests still run, and are not settled. What they have used beyond what is counted of them is counted now, whatever the limit,
   * where they were admitted; where that is away, it is counted later. Does not throw, is not waited for.
   */
  countRunning(running: readonly UsedSoFar[]): void;
  /**
   * The request has ended: `amounts`, in the order of the admission's charges, replace what was counted, at the admission and while it ran
   * (0: as if it had never come; null: that stays); no more is taken away than the admission counted, as use only grows. In a window, what is less than was admitted is taken away at the time at which it
   * was counted, if that has not left; what is more is counted now, so that no long request gets around it. To be called at most once for
   * an admission; need not be where the amounts are the same, nothing was counted while it ran, and no charge is for requests at the same
   * time or, above 0, for a period. Does not throw, is not waited for.
   */
  settle(admission: LimitAdmission, amounts: readonly (number | null)[]): void;
  /** What was settled in this turn is to be counted before what anybody asks after this. Absent: it is. */
  flush?(): void;
  /** As `decide` with nothing counted: for headers. Rejects with `server_busy` where another process decides and does not answer. */
  peek(charges: readonly Charge[]): readonly CounterState[] | Promise<readonly CounterState[]>;
  close(): Promise<void>;
}
