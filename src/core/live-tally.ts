/** What has ended in a process since it was asked last, on its way to the feed that shows it with that of the others. */
import type { Milliseconds } from './clock.ts';
import type { LiveReceipt } from './live-snapshot.ts';

/** The numbers of LiveSums that are added up. */
export const TALLY_COUNTS = [
  'finished',
  'within_objectives',
  'cancelled',
  'failed',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
] as const;

export type TallyCount = (typeof TALLY_COUNTS)[number];

/** Those of which percentiles are shown. */
export const TALLY_VALUES = ['ttft_ms', 'inter_token_ms', 'queue_ms'] as const;

export type TallyValue = (typeof TALLY_VALUES)[number];

/** Gets what goes into the sums. */
export interface TallyTarget {
  count(name: TallyCount, amount: number): void;
  rejected(code: string): void;
  value(name: TallyValue, value: Milliseconds): void;
}

export interface LiveTally {
  readonly counts: Readonly<Partial<Record<TallyCount, number>>>;
  /** By error code. */
  readonly rejected: Readonly<Record<string, number>>;
  /** How many were in each bucket of recent-values.ts. */
  readonly values: Readonly<
    Partial<Record<TallyValue, readonly (readonly [bucket: number, count: number])[]>>
  >;
}

export interface OwnedReceipt {
  /** To whom it is shown, beside those who see all. */
  readonly owner: string;
  readonly receipt: LiveReceipt;
}

export interface LiveEnded {
  /** Oldest first. */
  readonly receipts: readonly OwnedReceipt[];
  /** By owner: those for which there was no room. */
  readonly omitted: readonly (readonly [owner: string, count: number])[];
  readonly tally: LiveTally;
}
