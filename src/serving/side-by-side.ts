/**
 * Several generations of one request at the same time. Each waits, runs and ends by itself; but they are one answer, so where
 * one fails the others are cancelled, and what it failed with is thrown when all have ended.
 */
import { ServingError } from '../core/errors.ts';
import type { GenerationEvent } from '../core/generation.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Usage } from '../core/usage.ts';

export interface SideBySide {
  /** What generation `choice` writes on; the first has the request's own. */
  start(choice: number, receipt: Receipt): AsyncIterable<GenerationEvent>;
  readonly choices: number;
  readonly receipt: Receipt;
  readonly cancellation: AbortController;
}

/** Settles when all have ended. `take` is called for the events of each in their order, of several in turn. */
export async function runSideBySide(
  { start, choices, receipt, cancellation }: SideBySide,
  take: (events: AsyncIterable<GenerationEvent>, choice: number) => Promise<void>,
): Promise<void> {
  if (choices === 1) return take(start(0, receipt), 0);
  // Shared by all: what any of them does without is known as soon as it is dropped.
  receipt.droppedFields ??= [];
  const receipts = Array.from({ length: choices }, (_, choice) => (choice === 0 ? receipt : { ...receipt }));
  const failures: unknown[] = [];
  const running = receipts.map(async (own, choice) => {
    try {
      await take(start(choice, own), choice);
    } catch (thrown) {
      failures.push(thrown);
      // No fault of the others' backends.
      cancellation.abort(
        new ServingError('client_gone', { message: 'Another answer to the request failed.' }),
      );
    }
  });
  await Promise.all(running);
  tellOfAll(receipt, receipts, { failed: failures.length > 0 });
  if (failures.length > 0) throw failures[0];
}

/** The request's own receipt tells of all: when the first of them began, and what they used together. */
function tellOfAll(
  receipt: Receipt,
  receipts: readonly Receipt[],
  { failed }: { readonly failed: boolean },
): void {
  for (const mark of ['dispatchedAt', 'firstTokenAt'] as const) {
    const marks = receipts.flatMap((own) => own[mark] ?? []);
    if (marks.length > 0) receipt[mark] = Math.min(...marks);
  }
  const usages = receipts.flatMap(({ usage }) => usage ?? []);
  if (usages.length > 0) receipt.usage = usages.reduce(sum);
  if (failed) delete receipt.finishReason;
}

function sum(one: Usage, other: Usage): Usage {
  const reasoningTokens = (one.reasoningTokens ?? 0) + (other.reasoningTokens ?? 0);
  return {
    promptTokens: one.promptTokens + other.promptTokens,
    completionTokens: one.completionTokens + other.completionTokens,
    cachedTokens: one.cachedTokens + other.cachedTokens,
    ...(reasoningTokens > 0 && { reasoningTokens }),
  };
}
