/** Who gets a slot, and how the targets are: what the control process decides for all workers. Entry ids are unique among them. */
import type { LoadReport, TargetStatus } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import type { ModelId } from '../core/generation.ts';
import type { BatchInfo, QueuePosition } from '../core/request-trace.ts';
import type { EntryId, Settlement, TargetId } from '../scheduling/decision.ts';
import type { HealthState } from '../scheduling/target-health.ts';
import type { SentEntry } from './sent-entry.ts';

/** A try has failed at a target, as far as the target's health is concerned. */
export interface FailedTry {
  readonly model: ModelId;
  readonly target: TargetId;
  readonly requestId: string;
  /** Absent: the fault cannot be the request's own doing, and none before could. */
  readonly request?: number | undefined;
  readonly startedAt: Milliseconds;
  readonly code: ErrorCode;
  readonly message: string;
  readonly failure: FailureCause;
  readonly retryAfterSeconds?: number | undefined;
  /** For the log. */
  readonly cause?: string | undefined;
}

/** `request`: a number that the worker has given a request that has failed somewhere. */
export type SchedulingToControl =
  /** `reports`: its position is wanted while it waits. `after`: it counts only if that call of its limits is admitted. */
  | { readonly type: 'enqueue'; readonly entry: SentEntry; readonly reports?: true; readonly after?: number }
  /** It waits no longer, or gives back the slot that is on its way to it. */
  | { readonly type: 'leave'; readonly id: EntryId }
  /** A settlement that is `completed` also says that the target has answered. */
  | { readonly type: 'release'; readonly id: EntryId; readonly settlement: Settlement }
  | { readonly type: 'try-failed'; readonly failed: FailedTry }
  /** A target has begun to answer the request, after others had failed it. */
  | { readonly type: 'answered'; readonly request: number }
  /** It is not tried again, after so many targets were asked. */
  | { readonly type: 'request-failed'; readonly request: number; readonly asked: number }
  /** Nothing more will be said of it. */
  | { readonly type: 'forgotten'; readonly request: number }
  /** Null: the target's server reports nothing any more. */
  | {
      readonly type: 'load';
      readonly model: ModelId;
      readonly target: TargetId;
      readonly load: LoadReport | null;
    }
  | { readonly type: 'set-drained'; readonly target: TargetId; readonly isDrained: boolean };

/** A target as its monitor and the scheduler have it now. */
export interface SentTarget {
  readonly id: TargetId;
  readonly model: ModelId;
  /** Without what only the control process shows: the load that its server reports, its KV cache. */
  readonly status: TargetStatus;
  readonly health: HealthState;
  /** It has got the one request whose end decides whether it works. */
  readonly isOnTrial: boolean;
}

export type SchedulingToWorker =
  | {
      readonly type: 'granted';
      readonly id: EntryId;
      readonly target: TargetId;
      readonly slot: number;
      readonly batch: BatchInfo;
    }
  | {
      readonly type: 'rejected';
      readonly id: EntryId;
      readonly code: ErrorCode;
      readonly retryAfterSeconds: number;
    }
  | { readonly type: 'position'; readonly id: EntryId; readonly position: QueuePosition }
  /** The targets that have changed; the first one that a worker gets has all. */
  | { readonly type: 'targets'; readonly targets: readonly SentTarget[] }
  /** It gets nothing new any more: a reload has taken it out. */
  | { readonly type: 'target-removed'; readonly target: TargetId }
  /** Whether requests wait for the model: then a slot that is given back is needed at once. */
  | { readonly type: 'contended'; readonly model: ModelId; readonly isContended: boolean }
  /** What limits reserve now for an answer without a bound of its own. */
  | { readonly type: 'answer-length'; readonly model: ModelId; readonly tokens: number };
