/**
 * The lines of a record (`serve --record`), as they are written and read: JSON, one object a line. A line with `llm_serve_record` begins
 * a run of a server, one with `settings` has what is in force from there on, every other one is a request that has ended. Each names its
 * run: two servers may write one file at the same time, as in a restart that overlaps. No prompt, no answer, no key, no address, no id
 * of a client's own.
 */
import type { Priority } from './priority.ts';
import type { AttemptOutcome, RetryKind, WireTimings } from './request-trace.ts';

export const RECORD_VERSION = 2;

export interface RecordedRun {
  readonly llm_serve_record: typeof RECORD_VERSION;
  /** Drawn by the process that writes it. */
  readonly run: string;
  readonly version: string;
  readonly started_at_ms: number;
}

/** What a replay needs of the configuration. Null: no bound, as JSON has no infinity. */
export interface RecordedSettings {
  readonly mode: string;
  readonly order: string;
  readonly max_batch_size: number;
  readonly window_ms: number;
  readonly max_queue: number;
  readonly max_queue_per_client: number | null;
  readonly max_queue_bytes: number;
  readonly max_batch_tokens: number | null;
  readonly max_tokens_in_flight: number | null;
  readonly aging_ms: number;
  readonly max_overtakes: number;
  readonly routing: string;
  readonly queue_timeout_ms: number;
  readonly objectives: {
    readonly ttft_ms: number | null;
    readonly tpot_ms: number | null;
    readonly e2e_ms: number | null;
  };
  readonly targets: readonly RecordedTarget[];
}

export interface RecordedTarget {
  readonly name: string;
  readonly model: string;
  readonly slots: number;
  readonly weight: number;
  readonly role: 'primary' | 'fallback';
}

export interface RecordedSettingsLine {
  readonly run: string;
  readonly settings: RecordedSettings;
}

/** On its way to the process that writes it: `client` is not named yet. */
export type EndedForRecord = Omit<RecordedRequest, 'run'>;

/** Times are milliseconds: `at_ms` since the Unix epoch, the others since then. */
export interface RecordedRequest {
  readonly run: string;
  readonly at_ms: number;
  readonly route: string;
  readonly status: number;
  /** Opaque, and another one in the next run. */
  readonly client: string;
  /** Null where it was rejected before it asked for one. */
  readonly model: string | null;
  readonly priority: Priority | null;
  /** Null where it did not come as far as the queue. */
  readonly queued: {
    readonly at: number;
    readonly prompt_tokens: number;
    /** Null: no bound. */
    readonly max_tokens: number | null;
    readonly max_tokens_is_default: boolean;
    /** Memory that it held. */
    readonly bytes: number;
    readonly deadline: number;
  } | null;
  readonly prompt_tokens: number | null;
  readonly cached_tokens: number | null;
  readonly completion_tokens: number | null;
  readonly ended: number;
  readonly error_code: string | null;
  readonly finish_reason: string | null;
  readonly cancel_phase: string | null;
  readonly timings: WireTimings | null;
  readonly attempts: readonly RecordedAttempt[];
}

export interface RecordedAttempt {
  readonly target: string;
  readonly model: string;
  readonly kind: RetryKind | null;
  readonly batch_size: number;
  readonly enqueued: number;
  readonly started: number;
  readonly first_token: number | null;
  readonly ended: number | null;
  readonly outcome: AttemptOutcome | null;
}
