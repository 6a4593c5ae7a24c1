/** What goes into the scheduler and what comes out of it: entries and targets in, decisions out. */
import type { Milliseconds } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { Priority } from '../core/priority.ts';
import type { BatchMode, OrderMode } from './policies.ts';
import type { PrefixFingerprint } from './prefix-fingerprint.ts';

/** Our own id of a queue entry; never the client's. */
export type EntryId = string;
export type TargetId = string;

export interface SchedulerOptions {
  readonly mode: BatchMode;
  readonly order: OrderMode;
  readonly maxBatchSize: number;
  readonly windowMs: Milliseconds;
  /** What may wait per model: requests, requests of one client, bytes of prompts. */
  readonly maxQueue: number;
  readonly maxQueuePerClient: number;
  readonly maxQueueBytes: number;
  /** Estimated tokens of a batch, and of what runs on one target; a single request is always admitted. */
  readonly maxBatchTokens: number;
  readonly maxTokensInFlight: number;
  /** A class of requests that wait is passed over for so long at most. */
  readonly agingMs: Milliseconds;
  /** So often at most a request is overtaken by one whose prompt continues what a slot has cached. */
  readonly maxOvertakes: number;
}

export interface SchedulerTarget {
  readonly id: TargetId;
  readonly model: ModelId;
  readonly slots: number;
  readonly state: 'loading' | 'ready' | 'down' | 'draining';
  /** Each of its slots keeps what it evaluated last, as long as the target is there. */
  readonly cachesPrefixes?: boolean;
}

export interface QueueEntry {
  readonly id: EntryId;
  readonly model: ModelId;
  /** Whoever shares with the others; opaque, given by the edge, never the client's own word. */
  readonly client: string;
  readonly priority: Priority;
  /** An estimate; settled with what was really used. */
  readonly promptTokens: number;
  /** What bounds the answer; 0: there is none, as with an embedding. */
  readonly maxTokens: number | undefined;
  /** The bound is a default, not the client's own: recent answers say better how long this one will be. */
  readonly maxTokensIsDefault: boolean;
  /** Of its prompt, for targets that cache prefixes. */
  readonly prefix?: PrefixFingerprint | undefined;
  /** Of what is kept while it waits. */
  readonly sizeBytes: number;
  /** When waiting ends: the queue time-out or the request's own deadline, whichever is first. */
  readonly expiresAt: Milliseconds;
  /** When the answer must be finished. */
  readonly deadlineAt: Milliseconds;
}

export interface BatchMember {
  readonly id: EntryId;
  /** Where its slot is reserved. */
  readonly target: TargetId;
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

/** How a granted slot was used; completed requests teach how long answers are and how long they take. */
export interface Settlement {
  readonly outcome: Outcome;
  /** Really used, as far as it is known. */
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** The part of the prompt that need not be evaluated again; it is not charged. */
  readonly cachedTokens?: number;
  /** From the grant to the first token; undefined where none came. */
  readonly firstTokenMs: Milliseconds | undefined;
}
