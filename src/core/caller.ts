/** Who calls, where a key says it: what limits, shares of the slots, and usage go by. */
import type { Limits } from './limit-names.ts';
import type { Priority } from './priority.ts';

/** The same in every replica and after a restart; never a secret. */
export type CallerId = string;

export interface Caller {
  readonly id: CallerId;
  /** As people know it. */
  readonly name: string;
  readonly source: 'configuration' | 'store';
  readonly team: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Ids of the models that it may ask; undefined: all. */
  readonly models: readonly string[] | undefined;
  /** Undefined: as the configuration allows its address. */
  readonly highestPriority: Priority | undefined;
  /** Its own; those that the configuration sets for every key are not among them. */
  readonly limits: Limits;
  readonly mayAdmin: boolean;
}
