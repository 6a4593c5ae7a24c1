/**
 * What the server is doing now, as GET /live sends it: the page, `llm-serve status` and the API description share this shape. Names
 * are those of the wire. Times are milliseconds by the server's clock since the Unix epoch; durations are milliseconds.
 */
import type { LeasedSlots } from './leased-slots.ts';
import type { Priority } from './priority.ts';
import type { AttemptOutcome, RetryKind, WireTimings } from './request-trace.ts';
import type { SharedLimits } from './shared-limits.ts';

export interface LiveSnapshot {
  /** Grows by 1 within a stream; a gap: the reader was too slow for those between. */
  readonly sequence: number;
  readonly at_ms: number;
  readonly version: string;
  /** `own`: the caller's key sees its own requests, and of the others only the sums. */
  readonly scope: 'all' | 'own';
  readonly sums: LiveSums;
  readonly models: readonly LiveModel[];
  readonly targets: readonly LiveTarget[];
  /** Absent: each server counts for itself. */
  readonly shared_limits?: SharedLimits;
  /** In the order in which they would be served now. At most LIVE_LIMITS.queue; `models[].waiting` has the numbers. */
  readonly queue: readonly LiveWaiting[];
  /** Requests in a slot. At most LIVE_LIMITS.running. */
  readonly running: readonly LiveRunning[];
  /** Ended since the snapshot before, oldest first. At most LIVE_LIMITS.ended, the newest. */
  readonly ended: readonly LiveReceipt[];
  /** Ended since then, and not in `ended`. */
  readonly ended_omitted: number;
}

export const LIVE_LIMITS = { queue: 200, running: 512, ended: 200 } as const;

/** Over the last `window_seconds`, or since the feed began, if that is shorter. Percentiles are null where nothing was measured. */
export interface LiveSums {
  readonly window_seconds: number;
  readonly finished: number;
  /** Of the finished: within the configuration's `objectives`. */
  readonly within_objectives: number;
  readonly objectives: LiveObjectives;
  readonly cancelled: number;
  readonly failed: number;
  /** Error code → requests answered 429 or 503. */
  readonly rejected: Readonly<Record<string, number>>;
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  readonly completion_tokens: number;
  readonly ttft_ms: LivePercentiles | null;
  readonly inter_token_ms: LivePercentiles | null;
  readonly queue_ms: LivePercentiles | null;
}

/** As in the configuration; null: not asked for. Where all are, everything that finishes is within them. */
export interface LiveObjectives {
  readonly ttft_ms: number | null;
  readonly tpot_ms: number | null;
  readonly e2e_ms: number | null;
}

export interface LivePercentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly count: number;
}

export interface LiveModel {
  readonly id: string;
  readonly waiting: number;
  readonly running: number;
}

export interface LiveTarget {
  readonly name: string;
  readonly model: string;
  readonly backend: string;
  /** As in GET /ready. */
  readonly status: string;
  readonly loaded: boolean;
  readonly health: string;
  readonly slots: number;
  readonly slots_used: number;
  readonly tokens_in_flight: number;
  /** Absent: its slots are not leased. */
  readonly lease?: LeasedSlots;
  /** Times that it was ejected, by cause. */
  readonly ejections: Readonly<Record<string, number>>;
}

/** Why a request has no slot yet. */
export const WAITING_REASONS = [
  'no_free_slot',
  'token_limit',
  /** In window mode. */
  'batch_window',
  'model_loading',
  'no_target_serves',
  'retry_pause',
  'turn_of_others',
] as const;

export type WaitingReason = (typeof WAITING_REASONS)[number];

/** As the page and `llm-serve status` word it. */
export const WAITING_WORDS: Readonly<Record<WaitingReason, string>> = {
  no_free_slot: 'all slots that it may use are taken',
  token_limit: 'a slot is free, but the tokens in flight are at their limit',
  batch_window: 'its batch is still collecting',
  model_loading: 'no target serves its model now, one is loading',
  no_target_serves: 'no target serves its model now: all are down or out of service',
  retry_pause: 'it pauses before the next try',
  turn_of_others: 'others are before it',
};

interface LiveRequest {
  /** Of the entry in the queue: unique, also between choices and tries of one request. */
  readonly id: string;
  readonly request_id: string;
  readonly model: string;
  readonly priority: Priority;
  /** Opaque: the same for requests of one client. */
  readonly client: string;
  /** An estimate until the backend reports it. */
  readonly prompt_tokens: number;
  readonly received_at_ms: number;
  readonly enqueued_at_ms: number;
  /** 1: the first. */
  readonly attempt: number;
}

export interface LiveWaiting extends LiveRequest {
  /** 1 is next. */
  readonly position: number;
  readonly reason: WaitingReason;
  /** When its wait ends without a slot. */
  readonly expires_at_ms: number;
  /** An estimate. */
  readonly eta_ms: number | null;
}

export interface LiveRunning extends LiveRequest {
  readonly target: string;
  /** The number of its slot there, from 0: the lowest that was free. */
  readonly slot: number;
  readonly batch: { readonly id: string; readonly size: number };
  readonly started_at_ms: number;
  /** Null before it. */
  readonly first_token_at_ms: number | null;
  /** So far. */
  readonly completion_tokens: number;
}

/** Of a request that has ended. */
export interface LiveReceipt {
  readonly request_id: string;
  /** The path of its route. */
  readonly route: string;
  readonly status: number;
  readonly model: string | null;
  readonly served_model: string | null;
  readonly priority: Priority | null;
  readonly client: string;
  readonly received_at_ms: number;
  readonly ended_at_ms: number;
  readonly error_code: string | null;
  readonly finish_reason: string | null;
  readonly prompt_tokens: number | null;
  readonly cached_tokens: number | null;
  readonly completion_tokens: number | null;
  /** As `timings` of native answers; null of requests that asked no model. */
  readonly timings: WireTimings | null;
  readonly attempts: readonly LiveAttempt[];
}

export interface LiveAttempt {
  readonly target: string;
  readonly slot: number;
  readonly model: string;
  readonly kind: RetryKind | null;
  readonly batch: { readonly id: string; readonly size: number };
  readonly enqueued_at_ms: number;
  readonly started_at_ms: number;
  readonly first_token_at_ms: number | null;
  readonly ended_at_ms: number | null;
  readonly outcome: AttemptOutcome | null;
}
