/** The input and output of the scheduler: entries, targets and settlements in, decisions out. */
import type { Milliseconds } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { Priority } from '../core/priority.ts';
import type { BatchMode, OrderMode } from './policies.ts';
import type { PrefixFingerprint } from './prefix-fingerprint.ts';
import type { RoutingOptions } from './routing.ts';

/** Our own id of a queue entry; never the client's. */
export type EntryId = string;
export type TargetId = string;

export interface SchedulerOptions {
  readonly mode: BatchMode;
  readonly order: OrderMode;
  readonly maxBatchSize: number;
  readonly windowMs: Milliseconds;
  /** Bounds of what waits per model: requests, requests of one client, bytes of prompts. */
  readonly maxQueue: number;
  readonly maxQueuePerClient: number;
  readonly maxQueueBytes: number;
  /** Estimated tokens of a batch, and of the requests that run on one target; a single request is always admitted. */
  readonly maxBatchTokens: number;
  readonly maxTokensInFlight: number;
  /** For so long at most, a waiting class gets no slot because higher ones do. */
  readonly agingMs: Milliseconds;
  /** How often at most a request is overtaken by one whose prompt continues what a slot has cached. */
  readonly maxOvertakes: number;
  readonly routing: RoutingOptions;
}

export interface SchedulerTarget {
  readonly id: TargetId;
  readonly model: ModelId;
  readonly slots: number;
  /** Other servers use its slots too: it gives only those that `setLease` allows. */
  readonly isShared?: boolean;
  /** `slots` is the most that it may have: how many it has follows from how its server works. */
  readonly adaptive?: boolean;
  /** Relative to the model's other targets; absent: 1. */
  readonly weight?: number;
  /** Its address. Targets of one server, whatever their model, share its load; absent: it has one of its own. */
  readonly server?: string | undefined;
  /**
   * `probing`: after failures, it gets one request at a time, until its end says whether the target works. `ejected`: it gets only
   * requests that have failed at all others that serve.
   */
  readonly state: 'loading' | 'ready' | 'probing' | 'ejected' | 'down' | 'draining';
  /** `fallback`: gets requests only while no primary target can serve them; absent: `primary`. */
  readonly role?: 'primary' | 'fallback';
  /** Tokens per slot; undefined where it is not known. */
  readonly contextSize?: number | undefined;
  /** Its recent requests failed: a retry there counts for the budget. */
  readonly degraded?: boolean;
  /** Each of its slots keeps what it evaluated last, as long as the target is up. */
  readonly cachesPrefixes?: boolean;
}

/** How many of a shared target's slots may be given. */
export interface SlotLease {
  readonly slots: number;
  /** From then on none. */
  readonly until: Milliseconds;
}

export interface QueueEntry {
  readonly id: EntryId;
  readonly model: ModelId;
  /** The client that shares with others; opaque, determined by the edge, never chosen by the client. */
  readonly client: string;
  readonly priority: Priority;
  /** An estimate; the settlement corrects it. */
  readonly promptTokens: number;
  /** The bound of the answer; 0: there is no answer, as with an embedding. */
  readonly maxTokens: number | undefined;
  /** The bound is a default, not the client's own: recent answers are the better estimate of its length. */
  readonly maxTokensIsDefault: boolean;
  /** Of the prompt, for targets that cache prefixes. */
  readonly prefix?: PrefixFingerprint | undefined;
  /** Memory that it holds while it waits. */
  readonly sizeBytes: number;
  /** When its wait ends: by the queue timeout or the request's own deadline, whichever is first. */
  readonly expiresAt: Milliseconds;
  /** When the answer must be finished. */
  readonly deadlineAt: Milliseconds;
  /** Of a request that has had a slot before. */
  readonly retry?: RetryPlace | undefined;
}

/** What a target must be to get a request; absent members: any. */
export interface TargetNeeds {
  /** These never get it. */
  readonly avoid: ReadonlySet<TargetId>;
  /** Targets whose context is known to be smaller never get it. */
  readonly minContextSize?: number | undefined;
  /** It may wait for the end of another request's trial. Absent: such a target counts as away, as a trial may take as long as an answer. */
  readonly awaitsTrial?: boolean;
}

/**
 * A request that is tried again. It had its turn: it goes before all that wait, no bound of the queue and no batch applies to it,
 * and only its deadline ends its wait. It is rejected (`no_backend_available`) when no target is left that may get it.
 */
export interface RetryPlace extends TargetNeeds {
  /** The earliest goes first. */
  readonly firstQueuedAt: Milliseconds;
}

/** What the other targets of a model offer a request that is tried again. */
export interface Alternative {
  /** One of them has answered its recent requests. */
  readonly healthy: boolean;
  /** One of them gets requests anyway; otherwise all are ejected. */
  readonly inService: boolean;
}

export interface BatchMember {
  readonly id: EntryId;
  /** Where its slot is reserved. */
  readonly target: TargetId;
  /** The number of that slot, from 0: among those that are taken there, no other has it. */
  readonly slot: number;
}

export interface Batch {
  readonly id: string;
  readonly model: ModelId;
  readonly members: readonly BatchMember[];
}

export type Decision =
  | { readonly type: 'dispatch'; readonly batch: Batch }
  | {
      readonly type: 'reject';
      readonly id: EntryId;
      readonly code: ErrorCode;
      readonly retryAfterSeconds: number;
    };

export type Outcome = 'completed' | 'failed' | 'cancelled';

/** How a granted slot was used. Lengths and times are learned from completed requests. */
export interface Settlement {
  readonly outcome: Outcome;
  /** Really used, as far as it is known. */
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** The part of the prompt that was cached; it is not charged. */
  readonly cachedTokens?: number;
  /** The answer reached the bound that its client had set: how long it would have been is not known. */
  readonly isCut?: boolean;
  /** From the grant to the first token; undefined where there was none, or its time is not known. */
  readonly firstTokenMs: Milliseconds | undefined;
}
