/** What the engine's process hands its messages to: one taker for each kind of order. */

import { ServingError } from '../../../core/errors.ts';
import type { EngineEvent, EngineReport } from '../messages.ts';
import { ConversationRejectedError } from './chat-template.ts';

/** Each order that was added ends with exactly one event that ends one, after which nothing of it runs. */
export interface EngineWorker<Order extends { readonly id: number }> {
  add(order: Order): void;
  /** Takes effect between steps; unknown ids have ended already. */
  abort(id: number): void;
  /** Settles when the step under way is over; nothing runs afterwards. */
  stop(): Promise<void>;
}

/** For orders whose reader may be slower than the engine. */
export interface PausableWorker<Order extends { readonly id: number }> extends EngineWorker<Order> {
  /** No step computes for it until `resume`. Takes effect between steps; unknown ids have ended already. */
  pause(id: number): void;
  resume(id: number): void;
}

/** For orders that the loaded model cannot carry out: each is refused with this message. */
export function rejectingWorker(
  emit: (events: readonly EngineEvent[]) => void,
  message: string,
): PausableWorker<{ readonly id: number }> {
  return {
    add: ({ id }) =>
      emit([{ id, event: { type: 'failed', code: 'invalid_request', param: 'model', message } }]),
    abort() {},
    pause() {},
    resume() {},
    async stop() {},
  };
}

/** What was thrown while an order was read or carried out, as the event that ends it. Pure. */

export type FailedEvent = Extract<EngineReport, { type: 'failed' }>;

/** `work`: what the engine was about, for what is no fault of the order. */
export function failedEvent(thrown: unknown, work: string): FailedEvent {
  if (thrown instanceof ServingError) {
    const { code, message, param } = thrown;
    return { type: 'failed', code, message, ...(param !== undefined && { param }) };
  }
  if (thrown instanceof ConversationRejectedError) {
    const message = `The model’s chat template refuses these messages: ${thrown.message}`;
    return { type: 'failed', code: 'invalid_request', param: 'messages', message };
  }
  const message = `The engine could not ${work}: ${messageOf(thrown)}`;
  return { type: 'failed', code: 'backend_error', message };
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
