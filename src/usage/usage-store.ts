/** Where usage is kept, as its writers and reports see it. Both methods reject with an error whose message is for operators. */
import type { UsageQuery, UsageRow, UsageSum } from './usage-row.ts';

export interface UsageStore {
  /**
   * Adds to what is there for the same hour, caller, team, model and target: all rows, or none. `batch`: unique; rows that were added under
   * it already are not added again, as the answer of the first time may have been lost.
   */
  add(rows: readonly UsageRow[], batch: string): Promise<void>;
  report(query: UsageQuery): Promise<readonly UsageSum[]>;
}
