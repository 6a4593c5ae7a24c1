/** What a person is shown of a request that waits: its place in the service order, why it has no slot yet, and until when it waits. */
import type { Milliseconds } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';
import type { WaitingReason } from '../core/live-snapshot.ts';
import type { EntryId } from './decision.ts';

export interface WaitingView {
  readonly id: EntryId;
  readonly model: ModelId;
  /** 1 is next. */
  readonly position: number;
  readonly reason: WaitingReason;
  /** An estimate; undefined while too little is known of the model. */
  readonly etaMs: Milliseconds | undefined;
  /** When its wait ends without a slot. */
  readonly expiresAt: Milliseconds;
}

/** Of several reasons, the one that has to end first. */
export function waitingReason(waiting: {
  /** A target of the model serves. */
  readonly serves: boolean;
  /** One of its targets is loading. */
  readonly isLoading: boolean;
  readonly isCollecting: boolean;
  /** Nothing is before it that needs the same slot. */
  readonly isNext: boolean;
  readonly hasFreeSlot: boolean;
}): WaitingReason {
  if (!waiting.serves) return waiting.isLoading ? 'model_loading' : 'no_target_serves';
  if (waiting.isCollecting) return 'batch_window';
  if (!waiting.isNext) return 'turn_of_others';
  return waiting.hasFreeSlot ? 'token_limit' : 'no_free_slot';
}
