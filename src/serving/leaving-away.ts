/**
 * A generation whose fields may be left away: where the backend refuses one that it cannot honour, before its first event, it is
 * asked again without it, and the receipt says so. What is content, no setting, is refused all the same.
 */
import { toServingError } from '../core/errors.ts';
import { type Droppable, withoutField } from '../core/features.ts';
import type { GenerationEvent, GenerationRequest } from '../core/generation.ts';
import type { Receipt } from '../core/receipt.ts';

export interface DroppingCall {
  readonly request: GenerationRequest;
  readonly receipt: Receipt;
  readonly droppable: Droppable;
  readonly start: (request: GenerationRequest) => AsyncIterator<GenerationEvent>;
}

export function leavingAway({
  request,
  receipt,
  droppable,
  start,
}: DroppingCall): AsyncIterator<GenerationEvent> {
  let asked = request;
  let events = start(asked);
  const first = async (): Promise<IteratorResult<GenerationEvent>> => {
    for (;;) {
      try {
        return await events.next();
      } catch (thrown) {
        const { code, param } = toServingError(thrown);
        const isUnsupported = code === 'unsupported_parameter' && param !== undefined;
        const less = isUnsupported ? withoutField(asked, param, droppable) : undefined;
        if (less === undefined || param === undefined) throw thrown;
        await events.return?.();
        asked = less;
        receipt.droppedFields ??= [];
        if (!receipt.droppedFields.includes(param)) receipt.droppedFields.push(param);
        events = start(asked);
      }
    }
  };
  let begun = false;
  return {
    next: () => {
      if (begun) return events.next();
      begun = true;
      return first();
    },
    return: async () => (await events.return?.()) ?? { done: true, value: undefined },
  };
}
