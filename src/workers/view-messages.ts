/**
 * What is seen or done from outside, of all workers together: what each side asks of the other, one entry for each question, and the
 * messages in which questions and answers go. All of it is JSON: a time is a duration or one since the Unix epoch.
 */
import type { ErrorCode } from '../core/errors.ts';
import type { LiveRunning, LiveWaiting } from '../core/live-snapshot.ts';
import type { LiveEnded } from '../core/live-tally.ts';
import type { EndedForRecord } from '../core/record-file.ts';
import type { SharedLimits } from '../core/shared-limits.ts';
import type { EntryId } from '../scheduling/decision.ts';
import type { ActiveRequests, CountedRequests, ShownRequest } from '../serving/active-requests.ts';
import type { LeaseState } from '../serving/lease-state.ts';
import type { TargetState } from '../serving/target-state.ts';

/** Details and answer of each question. */
export type Questions<Table> = {
  readonly [Name in keyof Table]: { readonly details: unknown; readonly answer: unknown };
};

/** Asked of the control process by a worker, for whoever asks the worker. */
export interface AskedOfControl {
  /** The page of GET /metrics. */
  readonly metrics: { readonly details: null; readonly answer: string };
  /** For GET /ready; null: slots are not leased. */
  readonly leases: { readonly details: null; readonly answer: LeaseState | null };
  /** As well; null: limits are not shared. */
  readonly 'shared-limits': { readonly details: null; readonly answer: SharedLimits | null };
  /** One snapshot, as JSON. */
  readonly live: { readonly details: { readonly owner: string | null }; readonly answer: string };
  /** Snapshots from now on, as messages that name `watch`; answered once they may come. */
  readonly watch: {
    readonly details: { readonly watch: number; readonly owner: string | null; readonly intervalMs: number };
    readonly answer: null;
  };
  readonly active: { readonly details: { readonly limit: number }; readonly answer: CountedRequests };
  readonly cancel: { readonly details: { readonly id: string }; readonly answer: ShownRequest | null };
  readonly targets: { readonly details: null; readonly answer: readonly TargetState[] };
  /** Null: there is no such target. */
  readonly 'set-drained': {
    readonly details: { readonly target: string; readonly isDrained: boolean };
    readonly answer: TargetState | null;
  };
  readonly reload: {
    readonly details: { readonly trigger: string };
    readonly answer: {
      readonly changed: readonly string[];
      readonly unchanged_needs_restart: readonly string[];
    };
  };
  /** Answered when all workers have given the store what they had counted, or could not. */
  readonly 'flush-usage': { readonly details: null; readonly answer: null };
}

/** Asked of each worker by the control process. */
export interface AskedOfWorkers {
  /** Its families, as they were read. */
  readonly 'read-metrics': { readonly details: null; readonly answer: unknown };
  readonly 'live-part': {
    readonly details: {
      readonly owner: string | null;
      /** Makes the names of clients: the same in all processes. */
      readonly salt: string;
      /** Those of its entries that are to be described; null: those of the owner. */
      readonly entries: readonly EntryId[] | null;
    };
    readonly answer: LivePart;
  };
  readonly 'active-part': {
    readonly details: { readonly limit: number; readonly entries: readonly EntryId[] };
    readonly answer: ActiveRequests;
  };
  readonly cancel: { readonly details: { readonly id: string }; readonly answer: ShownRequest | null };
  readonly 'flush-usage': { readonly details: null; readonly answer: null };
  /** Answered when it has taken all that was sent to it before. */
  readonly 'catch-up': { readonly details: null; readonly answer: null };
}

/** Places in the queue are the control process's to fill in. */
export interface LivePart {
  readonly queue: readonly LiveWaiting[];
  readonly running: readonly LiveRunning[];
  /** Since it was asked last, by whomever; null while nobody listens. */
  readonly ended: LiveEnded | null;
  /** What the part took to be made. */
  readonly costMs: number;
}

export interface SentError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterSeconds?: number | undefined;
  /** For the log. */
  readonly cause?: string | undefined;
}

export interface Ask<Table> {
  readonly type: 'ask';
  /** The asker's own number. */
  readonly call: number;
  readonly question: keyof Table & string;
  readonly details: unknown;
}

export interface Answer {
  readonly type: 'answer';
  readonly call: number;
  readonly answer?: unknown;
  readonly failed?: SentError;
}

export type ViewsToControl =
  /** It can be asked from now on. */
  | { readonly type: 'answers' }
  | Ask<AskedOfControl>
  /** To an `ask` of the control process. */
  | Answer
  | { readonly type: 'unwatch'; readonly watch: number }
  /** After `records`. */
  | { readonly type: 'recorded'; readonly request: EndedForRecord };

export type ViewsToWorker =
  | Ask<AskedOfWorkers>
  | Answer
  /** What ends from now on goes into a record, which the control process writes. */
  | { readonly type: 'records' }
  /** Somebody looks at GET /live, or nobody any more. */
  | { readonly type: 'live-listens'; readonly listens: boolean }
  | { readonly type: 'live-snapshot'; readonly watch: number; readonly json: string }
  | { readonly type: 'live-heartbeat'; readonly watch: number }
  | { readonly type: 'live-end'; readonly watch: number };
