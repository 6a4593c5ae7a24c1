/** Limits: counted by the control process, decided there for all workers. `call` is the worker's own number of what it asked. */
import type { Charge, CounterState } from '../limits/limit-store.ts';

/** A charge on its way; it has no place of this process. */
export type SentCharge = Omit<Charge, 'place'>;

/** An infinite wait, which JSON has no word for, is null. */
export type SentState = Omit<CounterState, 'retryInMs'> & { readonly retryInMs: number | null };

export type LimitsToControl =
  /** `isFinal`: it is not settled. `after`: refused, unless that call was admitted. */
  | {
      readonly type: 'decide';
      readonly call: number;
      readonly charges: readonly SentCharge[];
      readonly after?: number | undefined;
      readonly isFinal?: true | undefined;
    }
  | { readonly type: 'peek'; readonly call: number; readonly charges: readonly SentCharge[] }
  /** What requests that still run have used so far. */
  | {
      readonly type: 'running';
      readonly calls: readonly number[];
      readonly amounts: readonly (readonly number[])[];
    }
  /** Of a decision that was admitted. */
  | { readonly type: 'settle'; readonly call: number; readonly amounts: readonly (number | null)[] }
  /** Of decisions that stay as they were admitted. */
  | { readonly type: 'unchanged'; readonly calls: readonly number[] };

export type LimitsToWorker =
  | {
      readonly type: 'decided';
      readonly call: number;
      readonly admitted: boolean;
      readonly states: readonly SentState[];
    }
  | { readonly type: 'peeked'; readonly call: number; readonly states: readonly SentState[] };
