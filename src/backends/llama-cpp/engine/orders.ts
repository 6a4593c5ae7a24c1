/** What the engine's process hands its messages to: one taker for each kind of order. */
import type { EngineEvent } from '../messages.ts';

/** Each order that was added ends with exactly one event that ends one, after which nothing of it runs. */
export interface OrderTaker<Order extends { readonly id: number }> {
  add(order: Order): void;
  /** Takes effect between steps; unknown ids have ended already. */
  abort(id: number): void;
  /** Settles when the step under way is over; nothing runs afterwards. */
  stop(): Promise<void>;
}

/** For orders whose reader may be slower than the engine. */
export interface PausableTaker<Order extends { readonly id: number }> extends OrderTaker<Order> {
  /** No step computes for it until `resume`. Takes effect between steps; unknown ids have ended already. */
  pause(id: number): void;
  resume(id: number): void;
}

/** For orders that the loaded model cannot carry out: each is refused with this message. */
export function refuseOrders(
  emit: (events: readonly EngineEvent[]) => void,
  message: string,
): PausableTaker<{ readonly id: number }> {
  return {
    add: ({ id }) =>
      emit([{ id, event: { type: 'failed', code: 'invalid_request', param: 'model', message } }]),
    abort() {},
    pause() {},
    resume() {},
    async stop() {},
  };
}
