/** How requests come by a slot: the port between what runs them and what decides, be that in this process or in another one. */
import type { LoadReport } from '../core/backend.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { Priority } from '../core/priority.ts';
import type { BatchInfo, QueuePosition, RequestTrace } from '../core/request-trace.ts';
import type {
  Alternative,
  EntryId,
  QueueEntry,
  SchedulerTarget,
  Settlement,
  TargetId,
  TargetNeeds,
} from '../scheduling/decision.ts';
import type { WaitingView } from '../scheduling/queue-view.ts';
import type { PendingAdmission } from './pending-admission.ts';

export interface Grant {
  readonly target: TargetId;
  /** Its number, among those of the target. */
  readonly slot: number;
  readonly batch: BatchInfo;
  /** Gives the slot back; only the first call counts. */
  release(settlement: Settlement): void;
}

/** Waits in the queue for a slot. None of the methods throws. */
export interface SlotCaller {
  /** Of the request, for GET /live; undefined: another process has the request, and describes it there. */
  describe(): DescribedCaller | undefined;
  granted(grant: Grant): void;
  rejected(error: ServingError): void;
}

export interface EntryOptions {
  /** Called with its position while it waits. */
  readonly onPosition?: ((position: QueuePosition) => void) | undefined;
  /** The entry counts only where it is admitted; its caller hears nothing before. Only of a queue in another process. */
  readonly admission?: PendingAdmission | undefined;
}

export interface DescribedCaller {
  readonly id: EntryId;
  readonly model: ModelId;
  readonly trace: RequestTrace;
  /** Of the whole request: the same for all of its choices and tries. */
  readonly cancellation: Cancellation;
  /** Opaque. */
  readonly client: string;
  readonly priority: Priority;
  /** An estimate until the backend has reported it. */
  readonly promptTokens: number;
  readonly enqueuedAt: Milliseconds;
  /** 1: the first. */
  readonly attempt: number;
}

export interface WaitingCaller {
  readonly view: WaitingView;
  readonly caller: DescribedCaller;
}

export interface SlotQueue {
  newEntryId(): EntryId;
  /** Puts the caller into the queue. */
  enter(entry: QueueEntry, caller: SlotCaller, options?: EntryOptions): void;
  /** Takes a queued caller out; it gets neither a grant nor a rejection. */
  leave(id: EntryId): void;
  /** What the model's targets, ejected ones too, offer a request with such needs; undefined where none may get it. */
  alternative(model: ModelId, needs: TargetNeeds): Alternative | undefined;
  /** The first `limit` of each model that wait, in the order in which they would be served now. */
  waiting(limit: number): WaitingCaller[];
  /** At most `limit` of those that wait and are `wanted`, those that came first. */
  waitingOf(wanted: (caller: DescribedCaller) => boolean, limit: number): WaitingCaller[];
  /** What the target's server reports of its load; undefined: nothing any more. */
  reportLoad(target: Pick<SchedulerTarget, 'id' | 'model'>, load: LoadReport | undefined): void;
}
