/**
 * The clock marks and facts of one request, filled in as it goes; from it come the log line, the metrics and
 * the `timings` of the answer. Owned by the request; every layer may write the marks of its own step, once.
 */
import type { Milliseconds } from './clock.ts';
import type { ErrorCode } from './errors.ts';
import type { FinishReason, ModelId } from './generation.ts';
import type { Priority } from './priority.ts';
import type { Usage } from './usage.ts';

/** Where a request was when it was cancelled. */
export type CancelPhase = 'queued' | 'waiting' | 'streaming';

export interface BatchInfo {
  readonly id: string;
  /** Requests dispatched together, this one included. */
  readonly size: number;
}

export interface Receipt {
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
  askedWhole?: boolean;
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
export interface QueuePlace {
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
export function timingsOf(receipt: Receipt, now: Milliseconds): Timings {
  const end = receipt.endedAt ?? now;
  const dispatched = receipt.dispatchedAt ?? end;
  const round = (milliseconds: number) => Math.max(0, Math.round(milliseconds * 10) / 10);
  return {
    queueMs: round(dispatched - (receipt.enqueuedAt ?? dispatched)),
    ttftMs: round((receipt.firstTokenAt ?? end) - receipt.receivedAt),
    generateMs: round(end - dispatched),
    totalMs: round(end - receipt.receivedAt),
  };
}
