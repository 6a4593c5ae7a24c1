/** Refuses requests for a model while nobody would decide about them. Those that are running, and what asks no model, go on. */
import { ServingError } from '../core/errors.ts';
import type { WorkersState } from '../serving/workers-state.ts';
import type { Step } from './context.ts';

/** Comes when limits are announced: a request that has none asks no model. */
export function stalledStep(workers: () => Pick<WorkersState, 'isStalled'>): Step {
  return (context) => {
    if (context.onRefusal === undefined || !workers().isStalled) return;
    // What remains of them, nobody can say.
    context.onRefusal = undefined;
    throw new ServingError('server_busy', {
      message:
        'The process of this server that gives out slots does not answer. Retry after the time in Retry-After.',
      retryAfterSeconds: 5,
    });
  };
}
