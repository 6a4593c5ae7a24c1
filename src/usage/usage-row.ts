/** What was used within one hour, by one caller, of one model at one target. Sums. A request counts where it was answered, or tried last. */
import type { UsageMeasures } from '../core/usage-measures.ts';

export interface UsageRow extends UsageMeasures {
  /** The beginning of the UTC hour, in milliseconds since the Unix epoch. */
  readonly hour: number;
  /** A caller's id; empty: without a key. */
  readonly caller: string;
  /** Empty: none. */
  readonly team: string;
  /** The one that answered, or was asked: of a fallback, not the one that the client named. Empty: refused before it was known. */
  readonly model: string;
  /** Empty: none was asked. */
  readonly target: string;
}

/** What a report adds rows up by. */
export type UsageDimension = 'key' | 'team' | 'model' | 'target' | 'day' | 'hour';

export interface UsageQuery {
  /** In their order; empty: one sum. */
  readonly by: readonly UsageDimension[];
  /** Since the Unix epoch: from, and before. */
  readonly from: number;
  readonly to: number;
  /** Only of this caller, team. */
  readonly caller?: string | undefined;
  readonly team?: string | undefined;
}

/** The measures of rows, added up. `by`: one value for each dimension of the query; a key is given by its id, a day as 2026-01-31. */
export interface UsageSum extends UsageMeasures {
  readonly by: readonly string[];
}
