/** Limits: counted by the control process, decided there for all workers. `call` is the worker's own number of what it asked. */
import type { Charge, CounterState } from '../limits/limit-store.ts';

/** A charge on its way; it has no place of this process. */
export type SentCharge = Omit<Charge, 'place'>;

export type LimitsToControl =
  | { readonly type: 'decide'; readonly call: number; readonly charges: readonly SentCharge[] }
  | { readonly type: 'peek'; readonly call: number; readonly charges: readonly SentCharge[] }
  /** Of a decision that was admitted. */
  | { readonly type: 'settle'; readonly call: number; readonly amounts: readonly number[] };

export type LimitsToWorker =
  | {
      readonly type: 'decided';
      readonly call: number;
      readonly admitted: boolean;
      /** A wait of null is infinite. */
      readonly states: readonly (Omit<CounterState, 'retryInMs'> & { readonly retryInMs: number | null })[];
    }
  | { readonly type: 'peeked'; readonly call: number; readonly states: readonly CounterState[] };
