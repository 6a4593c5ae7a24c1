/** Pure: the parts that a request's time consists of, in their order, without gaps. */
import type { LiveReceipt } from '../../src/core/live-snapshot.ts';
import type { Bar } from './bars.ts';

export interface Span {
  readonly kind: 'wait' | 'before' | 'stream' | 'fail' | 'cancel' | 'other';
  readonly name: string;
  readonly ms: number;
}

/** Of a bar: up to now. */
export function spansOf(receipt: LiveReceipt): readonly Span[];
export function spansOf(bar: Bar, now: number): readonly Span[];
export function spansOf(request: LiveReceipt | Bar, now?: number): readonly Span[] {
  return 'attempts' in request ? ofReceipt(request) : ofBar(request, now ?? 0);
}

function ofReceipt(receipt: LiveReceipt): readonly Span[] {
  const spans = new Spans(receipt.received_at_ms);
  if (receipt.attempts.length === 0) {
    spans.until(receipt.ended_at_ms, 'fail', receipt.status === 499 ? 'waited, then left' : 'waited in vain');
    return spans.list;
  }
  for (const attempt of receipt.attempts) {
    const ended = attempt.ended_at_ms ?? receipt.ended_at_ms;
    spans.until(attempt.enqueued_at_ms, 'other', 'gateway');
    spans.until(attempt.started_at_ms, 'wait', 'queue');
    const outcome = attempt.outcome ?? 'completed';
    if (outcome !== 'completed') {
      const cancelled = outcome === 'cancelled';
      spans.until(
        ended,
        cancelled ? 'cancel' : 'fail',
        `${attempt.target}, ${cancelled ? 'cancelled' : 'failed'}`,
      );
    } else if (attempt.first_token_at_ms === null) spans.until(ended, 'stream', 'answer in one piece');
    else {
      spans.until(attempt.first_token_at_ms, 'before', 'to the first token');
      spans.until(ended, 'stream', 'tokens');
    }
  }
  spans.until(receipt.ended_at_ms, 'other', 'gateway');
  return spans.list;
}

function ofBar(bar: Bar, now: number): readonly Span[] {
  const spans = new Spans(bar.receivedAt);
  const end = bar.endedAt ?? now;
  spans.until(bar.enqueuedAt, 'other', bar.attempt > 1 ? 'before this try' : 'gateway');
  spans.until(bar.startedAt ?? end, 'wait', 'queue');
  if (bar.startedAt !== null) spans.until(bar.firstTokenAt ?? end, 'before', 'to the first token');
  if (bar.firstTokenAt !== null) spans.until(end, 'stream', 'tokens');
  return spans.list;
}

/** One after the other; choices that ran beside each other count from where the one before ended. */
class Spans {
  readonly list: Span[] = [];
  #at: number;

  constructor(at: number) {
    this.#at = at;
  }

  until(time: number, kind: Span['kind'], name: string): void {
    const ms = time - this.#at;
    if (ms <= 0) return;
    this.list.push({ kind, name, ms });
    this.#at = time;
  }
}
