/** What goes into the scheduler and what comes out of it: entries and targets in, decisions out. */
import type { Milliseconds } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { BatchMode } from './batch-policy.ts';

/** Our own id of a queue entry; never the client's. */
export type EntryId = string;
export type TargetId = string;

export interface SchedulerOptions {
  readonly mode: BatchMode;
  readonly maxBatchSize: number;
  readonly windowMs: Milliseconds;
  /** Requests that may wait per model. */
  readonly maxQueue: number;
}

export interface SchedulerTarget {
  readonly id: TargetId;
  readonly model: ModelId;
  readonly slots: number;
  readonly state: 'loading' | 'ready' | 'down' | 'draining';
}

export interface QueueEntry {
  readonly id: EntryId;
  readonly model: ModelId;
  /** When waiting ends: the queue time-out or the request's own deadline, whichever is first. */
  readonly expiresAt: Milliseconds;
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

/** How a granted slot was used; only completed ones teach the service time. */
export type Outcome = 'completed' | 'failed' | 'cancelled';
