/**
 * What is known of a server's list of models while the list itself does not tell: because it is asked too often, or fails for a moment
 * though generations work. Owned by one backend. Invariant: what no list has said is never reported as known.
 */
import type { TargetStatus } from '../../core/backend.ts';
import type { Milliseconds } from '../../core/clock.ts';
import { failureOfStatus } from '../../upstream/failures.ts';
import { retryAfterSeconds } from '../../upstream/untyped.ts';
import type { JsonResponse } from '../../upstream/upstream.ts';

/** What a probe has found. */
export interface ProbeResult {
  readonly status: TargetStatus;
  /** Tokens in the model's vocabulary, if reported. */
  readonly vocabularySize?: number;
  /** Of the model as it is served now; absent if it is not. */
  readonly identity?: string;
}

/** After that many lists in a row that failed, the target is what the last one reports. */
const MAX_FAILED_LISTS = 3;
/** Where it does not say for how long: lists may count against the same limit as generations. */
const USUAL_PAUSE_MS = 5000;
/** However long the server asks to be left alone: nothing else may show that the model is there again. */
const MAX_PAUSE_MS = 60_000;

/** The server says that it is asked too often, or cannot answer in time: it is there, and nothing is said of its model. */
export function saysNothing(status: number): boolean {
  const failure = failureOfStatus(status);
  return failure === 'rate_limited' || (failure === 'overloaded' && status < 500);
}

export class Listing {
  #last: ProbeResult | undefined;
  #failedLists = 0;
  #askAgainAt: Milliseconds = Number.NEGATIVE_INFINITY;

  /** The server has asked not to be asked yet. */
  isPaused(now: Milliseconds): boolean {
    return now < this.#askAgainAt;
  }

  /** By the last list that told; undefined: none has. */
  get known(): ProbeResult | undefined {
    return this.#last;
  }

  told(result: ProbeResult): ProbeResult {
    this.#last = result;
    this.#failedLists = 0;
    return result;
  }

  /** The server answered so that it says nothing. It is left alone for as long as it wants. */
  limited(
    { headers }: Pick<JsonResponse, 'headers'>,
    { now, wallNowMs }: { readonly now: Milliseconds; readonly wallNowMs: number },
  ): ProbeResult | undefined {
    const seconds = retryAfterSeconds(headers, wallNowMs);
    const pauseMs = seconds === undefined ? USUAL_PAUSE_MS : seconds * 1000;
    this.#askAgainAt = now + Math.min(MAX_PAUSE_MS, pauseMs);
    return this.#last;
  }

  /** The list failed. A server that serves is not given up for one of them: what was known, as long as that holds. */
  failed(failure: ProbeResult): ProbeResult {
    this.#failedLists += 1;
    const holds = this.#last?.status.state === 'ready' && this.#failedLists < MAX_FAILED_LISTS;
    return holds && this.#last !== undefined ? this.#last : this.told(failure);
  }

  /** The next server at this address may be another one. */
  forget(): void {
    this.#last = undefined;
    this.#failedLists = 0;
    this.#askAgainAt = Number.NEGATIVE_INFINITY;
  }
}
