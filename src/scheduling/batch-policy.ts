/**
 * When do waiting requests form a batch? A policy is one pure function and one configuration value: add it here.
 * Closing means "may leave now"; whether members leave depends on free slots alone.
 */
import type { Milliseconds } from '../core/clock.ts';

export interface CollectingView {
  readonly now: Milliseconds;
  /** Requests that no batch has been closed over yet; ≥ 1. */
  readonly collecting: number;
  /** Arrival of the oldest of them. */
  readonly oldestAt: Milliseconds;
  readonly maxBatchSize: number;
  readonly windowMs: Milliseconds;
}

/** Close that many from the head now, or ask again at `wakeAt`. */
export type BatchVerdict = { readonly close: number } | { readonly wakeAt: Milliseconds };

export type BatchPolicy = (view: CollectingView) => BatchVerdict;

/** For whoever must leave now or never, too. */
export const closeAll: BatchPolicy = ({ collecting }) => ({ close: collecting });

export const BATCH_POLICIES = {
  /** Whatever waits when a turn ends is eligible: batches form from backpressure, never from a timer. */
  eager: closeAll,
  /** A batch closes when it is full, or `windowMs` after its first member arrived. */
  window: ({ now, collecting, oldestAt, maxBatchSize, windowMs }) => {
    if (collecting >= maxBatchSize) return { close: maxBatchSize };
    const closesAt = oldestAt + windowMs;
    return now >= closesAt ? { close: collecting } : { wakeAt: closesAt };
  },
} as const satisfies Record<string, BatchPolicy>;

export type BatchMode = keyof typeof BATCH_POLICIES;

export const DEFAULT_BATCH_MODE: BatchMode = 'eager';

/** For the configuration reference. */
export const BATCH_MEANINGS: Readonly<Record<BatchMode, string>> = {
  eager: 'what waits leaves as soon as a slot is free',
  window: 'a batch is collected first',
};
