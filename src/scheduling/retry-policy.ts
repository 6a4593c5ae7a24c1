/**
 * Whether a request that failed is tried again, where and when. Pure. A try elsewhere needs no pause; one at a target that has failed
 * the request already waits longer each time, by a random part of a growing bound, so that requests that failed together do not
 * come back together.
 */
import type { Milliseconds } from '../core/clock.ts';
import { type FailureCause, meaningOf } from '../core/failure.ts';
import type { Alternative } from './decision.ts';

/** What is known when a try has failed and the client has received nothing of the answer. */
export interface FailedTry {
  /** Undefined: the request itself was rejected. */
  readonly cause: FailureCause | undefined;
  /** How often a target was asked, this time included. */
  readonly tries: number;
  /** Of `tries`, those of all models together. */
  readonly maxTries: number;
  /** How often the queue of the model then had no target for it. So often it is no longer worth asking there, but another model may be. */
  readonly rejections: number;
  /** How often a target was silent for too long, this time included. */
  readonly silences: number;
  /** Of the model's targets that have not failed this request; undefined: there is none. */
  readonly other: Alternative | undefined;
  /** A target that has failed it may get it again. */
  readonly mayReturn: boolean;
  /** Another model may answer, and can. */
  readonly hasFallbackModel: boolean;
  readonly timeLeftMs: Milliseconds;
  /** The server asks not to be asked again before. */
  readonly retryAfterMs: Milliseconds | undefined;
  readonly hasBudget: boolean;
  /** From 0 up to, not including, 1. */
  readonly random: number;
}

/** `isCharged`: it counts for the budget. */
export type RetryDecision =
  | { readonly type: 'elsewhere'; readonly isCharged: boolean }
  | { readonly type: 'here'; readonly afterMs: Milliseconds; readonly isCharged: true }
  | { readonly type: 'other-model' }
  | { readonly type: 'fail'; readonly lacksBudget: boolean };

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2000;

/**
 * 1. What the request itself caused, and a second silence, is final; 2. another target gets it at once; 3. then another model, which one try is kept for; 4. then a
 * target that failed it already, after a pause, if the time is left and the budget allows it.
 */
export function decideRetry(failed: FailedTry): RetryDecision {
  const { cause, maxTries, other, hasBudget, timeLeftMs } = failed;
  if (cause === undefined || timeLeftMs <= 0) return FAIL;
  const { retry } = meaningOf(cause);
  if (retry === 'never' || (isSilence(cause) && failed.silences > 1)) return FAIL;
  const tries = failed.tries + failed.rejections;
  const hasTries = tries < triesAtModel(maxTries, failed.hasFallbackModel);
  // An ejected target may answer; another model does.
  const isWorse = other?.inService === false && failed.hasFallbackModel;
  const mayGoElsewhere = other !== undefined && !isWorse && (other.healthy || hasBudget);
  if (hasTries && mayGoElsewhere) return { type: 'elsewhere', isCharged: !other.healthy };
  if (failed.hasFallbackModel && failed.tries < maxTries) return { type: 'other-model' };
  if (!hasTries) return FAIL;
  if (other !== undefined) return LACKS_BUDGET;
  if (!failed.mayReturn) return FAIL;
  const afterMs = Math.max(backoffMs(tries, failed.random), failed.retryAfterMs ?? 0);
  if (afterMs >= timeLeftMs) return FAIL;
  return hasBudget ? { type: 'here', afterMs, isCharged: true } : LACKS_BUDGET;
}

/** The last try is kept for the fallback model, unless it is the only one. */
export function triesAtModel(maxTries: number, hasFallbackModel: boolean): number {
  return hasFallbackModel && maxTries > 1 ? maxTries - 1 : maxTries;
}

const FAIL: RetryDecision = { type: 'fail', lacksBudget: false };
const LACKS_BUDGET: RetryDecision = { type: 'fail', lacksBudget: true };

/** The target did not answer in time: asking a second one takes as long again, so it is done once. */
export function isSilence(cause: FailureCause | undefined): boolean {
  return cause === 'first_token_timeout' || cause === 'stalled';
}

/** Full jitter: any part of a bound that doubles with each try. */
function backoffMs(tries: number, random: number): Milliseconds {
  return random * Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (tries - 1));
}
