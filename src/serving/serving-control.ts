/**
 * What there is once, however many processes serve: who gets a slot and when, and how each target is. The port between the requests of
 * a process and that; in this process: local-control.ts.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import type { ModelId } from '../core/generation.ts';
import type { AnswerBound } from '../scheduling/latency-estimator.ts';
import type { SlotQueue } from './slot-queue.ts';
import type { Target, Targets } from './targets.ts';

export interface ModelLoad {
  readonly model: ModelId;
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly running: number;
}

/** A request that is tried at targets: one object for all of its tries. */
export interface TriedRequest {
  readonly requestId: string;
}

/** A try that has ended at a target, as far as its health is concerned. */
export interface EndedTry {
  readonly request: TriedRequest;
  readonly startedAt: Milliseconds;
  /** The request had been tried before. */
  readonly isRetry: boolean;
}

export interface ServingControl {
  readonly slotQueue: SlotQueue;
  /** From now on targets are probed and warmed up. */
  start(): void;
  /** The targets have been replaced, all in this turn: those that are in both go on, the others get nothing new and are closed later. */
  apply(before: Targets, after: Targets): void;
  /** Those of a removed model, as long as requests wait for it. */
  leavingOf(model: ModelId): readonly Target[];
  /** Takes a target out of service, or back. */
  setDrained(target: Target, isDrained: boolean): void;
  /** What limits reserve for an answer with that bound. */
  reservedAnswerTokens(model: ModelId, bound: AnswerBound): number;
  loadOf(model: ModelId): Omit<ModelLoad, 'model'>;
  /** `error` undefined: it succeeded; one without `failure` says nothing of the target. */
  onAttemptEnded(target: Target, error: ServingError | undefined, ended: EndedTry): void;
  /** The target that is asked has begun to answer, after other tries had failed. */
  onAnswered(request: TriedRequest): void;
  /** It is not tried again, after so many targets were asked. Not called of a cancelled one. */
  onRequestFailed(request: TriedRequest, targetsAsked: number): void;
  /** Slots that are held at a target, and the estimated tokens of what holds them. */
  usedOf(target: Target): { readonly slots: number; readonly tokens: number };
  /** As many as it has now. */
  slotsOf(target: Target): number;
  /** How often it was ejected, by cause. */
  ejectionsOf(target: Target): ReadonlyMap<FailureCause, number>;
  /** Ends everything. The backends of targets that are in use are the caller's to close. */
  close(): Promise<void>;
}
