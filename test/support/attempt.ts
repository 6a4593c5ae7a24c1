/** A try at a target, ended well at once, as traces have it. */
import type { Attempt } from '../../src/core/request-trace.ts';

export function attemptOf(fields: Partial<Attempt> = {}): Attempt {
  return {
    target: 't',
    slot: 0,
    model: 'm',
    enqueuedAt: 0,
    startedAt: 0,
    batch: { id: 'batch_1', size: 1 },
    kind: undefined,
    after: undefined,
    failure: undefined,
    firstTokenAt: undefined,
    endedAt: 0,
    outcome: 'completed',
    spanId: undefined,
    ...fields,
  };
}
