/**
 * The clock marks and facts of one request, filled in as it goes; from it come the log line, the metrics and
 * the `timings` of the answer. Owned by the request; every layer may write the marks of its own step, once.
 */

import type { Milliseconds } from './clock.ts';
import type { ErrorCode } from './errors.ts';
import type { FinishReason, ModelId, Usage } from './generation.ts';
import type { Priority } from './priority.ts';

/** Where a request was when it was cancelled. */
type CancelPhase = 'queued' | 'waiting' | 'streaming';

export interface BatchInfo {
  readonly id: string;
  /** Requests dispatched together, this one included. */
  readonly size: number;
}

export interface RequestTrace {
  /** As answers and logs show it: the client's own id if it sent a sane one. Never used as a key. */
  readonly requestId: string;
  readonly receivedAt: Milliseconds;
  model?: ModelId;
  priority?: Priority;
  target?: string;
  enqueuedAt?: Milliseconds;
  dispatchedAt?: Milliseconds;
  firstTokenAt?: Milliseconds;
  /** The backend was asked for the whole answer: its first token came with its last, and when there was one is not known. */
  unstreamed?: boolean;
  endedAt?: Milliseconds;
  batch?: BatchInfo;
  usage?: Usage;
  finishReason?: FinishReason;
  errorCode?: ErrorCode;
  /** Fields (in native words) that could not be honoured and were dropped: by the protocol, or as the configuration allows. */
  droppedFields?: string[];
  cancelPhase?: CancelPhase;
}

/** Where a waiting request stands. */
export interface QueuePosition {
  /** 1 is next; 0 has left the queue. */
  readonly position: number;
  /** From the recent service time: a guess, not a promise. */
  readonly etaMs: Milliseconds;
}

/** Milliseconds with one decimal, as answers show them. */
export interface Timings {
  readonly queueMs: number;
  readonly ttftMs: number;
  readonly generateMs: number;
  readonly totalMs: number;
}

/** Queue: entry to dispatch. TTFT and total: from arrival. Generate: dispatch to end. Marks not set count as now. */
export function timingsOf(trace: RequestTrace, now: Milliseconds): Timings {
  const end = trace.endedAt ?? now;
  const dispatched = trace.dispatchedAt ?? end;
  const round = (milliseconds: number) => Math.max(0, Math.round(milliseconds * 10) / 10);
  return {
    queueMs: round(dispatched - (trace.enqueuedAt ?? dispatched)),
    ttftMs: round((trace.firstTokenAt ?? end) - trace.receivedAt),
    generateMs: round(end - dispatched),
    totalMs: round(end - trace.receivedAt),
  };
}

/** What the edge reports of each request; the telemetry layer makes log lines and metrics of it. */

export interface RequestRecord {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The path of a route we know, or `unknown`: few values, fit for a label. */
  readonly route: string;
  /** 499 for a client that left. */
  readonly status: number;
  readonly clientAddress: string;
  readonly trace: RequestTrace;
  readonly endedAt: Milliseconds;
}

export interface Telemetry {
  requestEnded(record: RequestRecord): void;
  /** A connection was closed unread; `bound` is the setting that it would have exceeded. */
  connectionRefused(bound: string): void;
  tokenGap(model: string, gapMs: Milliseconds): void;
  /** Prometheus text exposition. */
  metrics(): { readonly contentType: string; readonly text: string };
}
