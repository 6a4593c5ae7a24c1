/**
 * An order that is prepared before the engine gets it. Invariant: the sink hears of one end; after an abort that is
 * `freed`, as soon as neither the preparation nor the engine goes on with it.
 */
import { toServingError } from '../../core/errors.ts';
import type { GenerationSink, RunningOrder } from './generation-stream.ts';

export interface PreparedOrderOptions<Order> {
  /** Rejects soon after the signal aborts. */
  readonly prepare: (signal: AbortSignal) => Promise<Order>;
  readonly run: (order: Order) => RunningOrder;
}

export function preparedOrder<Order>(
  { prepare, run }: PreparedOrderOptions<Order>,
  sink: Pick<GenerationSink, 'failed' | 'freed'>,
): RunningOrder {
  const leaving = new AbortController();
  let running: RunningOrder | undefined;
  const prepared = async () => {
    try {
      const order = await prepare(leaving.signal);
      if (leaving.signal.aborted) sink.freed();
      else running = run(order);
    } catch (thrown) {
      if (leaving.signal.aborted) sink.freed();
      else sink.failed(toServingError(thrown));
    }
  };
  void prepared();
  return {
    abort() {
      if (running === undefined) leaving.abort();
      else running.abort();
    },
  };
}
