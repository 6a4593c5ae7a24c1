/**
 * What a worker has for the live feed of the control process, which asks for it: the requests that have ended since it asked last, and
 * their part of the sums. Nothing is kept while nobody listens, and never more than the newest MAX_RECEIPTS.
 */
import type { Milliseconds } from '../core/clock.ts';
import { isRejection } from '../core/errors.ts';
import { ownerOf } from '../core/live-feed.ts';
import type {
  LiveEnded,
  LiveTally,
  OwnedReceipt,
  TallyCount,
  TallyTarget,
  TallyValue,
} from '../core/live-tally.ts';
import { isFinished, meetsObjectives, type Objectives } from '../core/objectives.ts';
import { concernsModel, type RequestRecord, timingsOf } from '../core/request-trace.ts';
import { type ReceiptContext, receiptOf } from './live-receipt.ts';
import { bucketOf } from './recent-values.ts';

/** Between two questions, which come every few seconds at least. */
const MAX_RECEIPTS = 1000;

/** What a request that has ended adds to the sums. */
export function addToSums(
  { trace, endedAt }: RequestRecord,
  objectives: Objectives,
  sums: TallyTarget,
): void {
  const { errorCode } = trace;
  const isRejected = errorCode !== undefined && isRejection(errorCode);
  if (isRejected) sums.rejected(errorCode);
  if (trace.cancelPhase !== undefined) sums.count('cancelled', 1);
  const { model, usage, firstTokenAt, receivedAt } = trace;
  if (model === undefined) return;
  if (errorCode !== undefined && !isRejected && trace.cancelPhase === undefined) sums.count('failed', 1);
  if (trace.dispatchedAt !== undefined) sums.value('queue_ms', timingsOf(trace, endedAt).queueMs);
  if (firstTokenAt !== undefined && !trace.unstreamed) sums.value('ttft_ms', firstTokenAt - receivedAt);
  if (usage === undefined || !isFinished(trace)) return;
  sums.count('finished', 1);
  sums.count('prompt_tokens', usage.promptTokens);
  sums.count('cached_tokens', usage.cachedTokens);
  sums.count('completion_tokens', usage.completionTokens);
  if (meetsObjectives(trace, endedAt, objectives)) sums.count('within_objectives', 1);
}

export class EndedRequests {
  readonly #settings: { readonly objectives: Objectives };
  #listens = false;
  #records: RequestRecord[] = [];
  /** By owner. */
  #omitted = new Map<string, number>();
  #tally = new Tally();

  /** `settings`: read with every request: a reload may change them. */
  constructor(settings: { readonly objectives: Objectives }) {
    this.#settings = settings;
  }

  listen(listens: boolean): void {
    this.#listens = listens;
    this.#clear();
  }

  requestEnded(record: RequestRecord): void {
    if (!this.#listens) return;
    addToSums(record, this.#settings.objectives, this.#tally);
    if (!concernsModel(record.trace)) return;
    this.#records.push(record);
    if (this.#records.length <= MAX_RECEIPTS) return;
    const oldest = this.#records.shift();
    if (oldest === undefined) return;
    const owner = ownerOf(oldest.trace);
    this.#omitted.set(owner, (this.#omitted.get(owner) ?? 0) + 1);
  }

  tokenGap(gapMs: Milliseconds): void {
    if (this.#listens) this.#tally.value('inter_token_ms', gapMs);
  }

  /** Undefined while nobody listens. */
  take(context: ReceiptContext): LiveEnded | undefined {
    if (!this.#listens) return undefined;
    const receipts: readonly OwnedReceipt[] = this.#records.map((record) => ({
      owner: ownerOf(record.trace),
      receipt: receiptOf(record, context),
    }));
    const ended = { receipts, omitted: [...this.#omitted], tally: this.#tally.read() };
    this.#clear();
    return ended;
  }

  #clear(): void {
    this.#records = [];
    this.#omitted = new Map();
    this.#tally = new Tally();
  }
}

class Tally implements TallyTarget {
  readonly #counts: Partial<Record<TallyCount, number>> = {};
  readonly #rejected: Record<string, number> = {};
  readonly #values = new Map<TallyValue, Map<number, number>>();

  count(name: TallyCount, amount: number): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + amount;
  }

  rejected(code: string): void {
    this.#rejected[code] = (this.#rejected[code] ?? 0) + 1;
  }

  value(name: TallyValue, value: Milliseconds): void {
    const buckets = this.#values.get(name) ?? new Map<number, number>();
    this.#values.set(name, buckets);
    const bucket = bucketOf(value);
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
  }

  read(): LiveTally {
    const values = Object.fromEntries([...this.#values].map(([name, buckets]) => [name, [...buckets]]));
    return { counts: this.#counts, rejected: this.#rejected, values };
  }
}
