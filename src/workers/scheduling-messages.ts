/** Who gets a slot, and how the targets are: what the control process decides for all workers. Entry ids are unique among them. */
import type { LoadReport, TargetStatus } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import type { ModelId } from '../core/generation.ts';
import type { BatchInfo, QueuePosition } from '../core/request-trace.ts';
import type { EntryId, QueueEntry, RetryPlace, Settlement, TargetId } from '../scheduling/decision.ts';
import type { HealthState } from '../scheduling/target-health.ts';

/** A queue entry on its way: times are those of the host, bounds that are absent are infinite. */
export interface SentEntry extends Omit<QueueEntry, 'retry'> {
  readonly retry?: (Omit<RetryPlace, 'avoid'> & { readonly avoid: readonly TargetId[] }) | undefined;
}

/** A try has ended at a target, as far as its health is concerned. */
export interface EndedTry {
  /** The request, among those of its worker. */
  readonly request: string;
  readonly target: TargetId;
  readonly startedAt: Milliseconds;
  /** It had been tried before. */
  readonly isRetry: boolean;
  /** Undefined: it succeeded. */
  readonly error?: {
    readonly code: ErrorCode;
    readonly message: string;
    /** Absent: it says nothing of the target. */
    readonly failure?: FailureCause | undefined;
    readonly retryAfterSeconds?: number | undefined;
    readonly cause?: string | undefined;
  };
}

export type SchedulingToControl =
  /** `reports`: its position is wanted while it waits. */
  | { readonly type: 'enqueue'; readonly entry: SentEntry; readonly reports: boolean }
  | { readonly type: 'leave'; readonly id: EntryId }
  | { readonly type: 'release'; readonly id: EntryId; readonly settlement: Settlement }
  | { readonly type: 'try-ended'; readonly ended: EndedTry }
  /** A target has begun to answer the request, after others had failed it. */
  | { readonly type: 'answered'; readonly request: string }
  /** It is not tried again; `asked`: the targets that it was tried at. */
  | { readonly type: 'request-failed'; readonly request: string; readonly asked: number }
  | { readonly type: 'load'; readonly target: TargetId; readonly load: LoadReport | null };

/** A target as its monitor and the scheduler have it now. */
export interface SentTarget {
  readonly id: TargetId;
  readonly model: ModelId;
  readonly status: TargetStatus;
  readonly health: HealthState;
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
  | { readonly type: 'target'; readonly target: SentTarget }
  /** What an answer without a bound of its own is charged now. */
  | { readonly type: 'answer-length'; readonly model: ModelId; readonly tokens: number };
