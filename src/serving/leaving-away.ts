/**
 * A generation whose fields may be left away: where the backend refuses one that it cannot honour, before its first event, it is
 * asked again without it, and the receipt says so. What is content, no setting, is refused all the same.
 */
import { toServingError } from '../core/errors.ts';
import { withoutField } from '../core/features.ts';
import type { GenerationEvent, GenerationRequest } from '../core/generation.ts';
import type { Receipt } from '../core/receipt.ts';

export async function* leavingAway(
  request: GenerationRequest,
  receipt: Receipt,
  start: (request: GenerationRequest) => AsyncIterator<GenerationEvent>,
): AsyncGenerator<GenerationEvent, void> {
  let asked = request;
  for (;;) {
    const events = start(asked);
    let first: IteratorResult<GenerationEvent>;
    try {
      first = await events.next();
    } catch (thrown) {
      const { code, param } = toServingError(thrown);
      const less = code === 'unsupported_parameter' && param !== undefined && withoutField(asked, param);
      if (!less) throw thrown;
      asked = less;
      receipt.droppedFields = [...(receipt.droppedFields ?? []), param];
      continue;
    }
    try {
      for (let next = first; !next.done; next = await events.next()) yield next.value;
      return;
    } finally {
      await events.return?.();
    }
  }
}
