/**
 * The policies of the scheduler that the configuration chooses from. A policy is one pure function and one configuration value: add
 * it here. A batch policy decides when waiting requests may leave together; an order policy decides who is served before whom.
 */
import type { Milliseconds } from '../core/clock.ts';
import { DEFAULT_PRIORITY, type Priority } from '../core/priority.ts';

interface CollectingView {
  readonly now: Milliseconds;
  /** Requests that are in no closed batch yet; ≥ 1. */
  readonly collecting: number;
  /** Arrival of the oldest of them. */
  readonly oldestAt: Milliseconds;
  readonly maxBatchSize: number;
  readonly windowMs: Milliseconds;
}

/** Close a batch of that many, oldest first, or ask again at `wakeAt`. Members of a closed batch leave as slots become free. */
type BatchVerdict = { readonly close: number } | { readonly wakeAt: Milliseconds };

export type BatchPolicy = (view: CollectingView) => BatchVerdict;

/** Also used, whatever the policy, when a request must leave now or never. */
export const closeAll: BatchPolicy = ({ collecting }) => ({ close: collecting });

export const BATCH_POLICIES = {
  /** Everything that waits when a turn ends is eligible: batches form from backpressure, never from a timer. */
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
export const BATCH_DESCRIPTIONS: Readonly<Record<BatchMode, string>> = {
  eager: 'what waits leaves as soon as a slot is free',
  window: 'a batch is collected first',
};

/** Classes are strict (with ageing); the flows of a class share in tokens; within a flow the earliest due goes first, then the first to arrive. */
export interface Rank {
  readonly priority: Priority;
  /** Requests of one flow wait for each other; flows share. */
  readonly flow: string;
  readonly dueAt: Milliseconds;
}

export type OrderPolicy = (entry: {
  readonly client: string;
  readonly priority: Priority;
  /** When its wait ends. */
  readonly expiresAt: Milliseconds;
}) => Rank;

export const ORDER_POLICIES = {
  /** Classes by priority, a flow for each client, earliest deadline first. */
  fair: ({ client, priority, expiresAt }) => ({ priority, flow: client, dueAt: expiresAt }),
  /** First come, first served, whatever the client and the priority. */
  fifo: () => ({ priority: DEFAULT_PRIORITY, flow: '', dueAt: 0 }),
} as const satisfies Record<string, OrderPolicy>;

export type OrderMode = keyof typeof ORDER_POLICIES;

export const DEFAULT_ORDER: OrderMode = 'fair';

/** For the configuration reference. */
export const ORDER_DESCRIPTIONS: Readonly<Record<OrderMode, string>> = {
  fair: 'by priority, clients share in tokens, earliest deadline first',
  fifo: 'first come, first served',
};
