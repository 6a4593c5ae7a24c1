/**
 * Several generations of one request at the same time. Each waits, runs and ends by itself; but they are one answer, so where
 * one fails the others are cancelled, and what it failed with is thrown when all have ended.
 */
import { toServingError } from '../core/errors.ts';
import type { GenerationEvent } from '../core/generation.ts';
import type { Receipt } from '../core/receipt.ts';

export interface SideBySide {
  /** `receipts[i]` is what generation i writes on; the first is the request's own. */
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
  const receipts = Array.from({ length: choices }, (_, choice) => (choice === 0 ? receipt : { ...receipt }));
  const running = receipts.map(async (own, choice) => {
    try {
      await take(start(choice, own), choice);
    } catch (thrown) {
      cancellation.abort(toServingError(thrown));
      throw thrown;
    }
  });
  const ends = await Promise.allSettled(running);
  sum(receipt, receipts);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw cancellation.signal.reason;
}

/** The request's own receipt tells of all: what they used together, and what any of them did without. */
function sum(receipt: Receipt, receipts: readonly Receipt[]): void {
  const used = receipts.flatMap(({ usage }) => usage ?? []);
  const total = (of: 'promptTokens' | 'completionTokens' | 'cachedTokens') =>
    used.reduce((all, usage) => all + usage[of], 0);
  receipt.usage = {
    promptTokens: total('promptTokens'),
    completionTokens: total('completionTokens'),
    cachedTokens: total('cachedTokens'),
  };
  const dropped = new Set(receipts.flatMap(({ droppedFields }) => droppedFields ?? []));
  if (dropped.size > 0) receipt.droppedFields = [...dropped];
}
