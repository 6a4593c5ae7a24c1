/** Reports of usage: what is asked for, in words, and rows as the command line and answers show them. Pure. */
import type { UsageQuery, UsageSum } from './usage-row.ts';

/** What reports are made of. Both promises reject with an error whose message is for operators. */
export interface UsageReader {
  /** Of the money. */
  currency(): string;
  /** Those that have been revoked, too. */
  keys(): Promise<readonly { readonly id: string; readonly name: string }[]>;
  /** Of all requests that have ended, if the store could be written. */
  report(query: UsageQuery): Promise<readonly UsageSum[]>;
}
