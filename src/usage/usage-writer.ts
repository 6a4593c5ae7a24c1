/**
 * Writes usage behind the requests: what has ended is added up, and given to the store soon, but with a pause between two writes. The store may be slow or gone: no
 * request waits for it, and what waits is bounded. Invariants: one write at a time; a batch that failed is written again as it was, under
 * the same id, before anything that came later.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Prices } from './prices.ts';
import type { TeamUsage } from './team-usage.ts';
import { type EndedRequest, UsageAccumulator } from './usage-accumulator.ts';
import type { UsageRow } from './usage-row.ts';
import type { UsageStore } from './usage-store.ts';

/** Read when they are needed: a reload may change them. */
export interface UsageSettings {
  enabled: boolean;
  /** From one write to the next. */
  flushMs: Milliseconds;
  /** Rows that may wait. */
  maxRows: number;
  prices: Prices;
  /** Of the prices. */
  currency: string;
}

interface UsageWriterOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Pick<UsageStore, 'add'>;
  readonly settings: UsageSettings;
  /** Unique, also among all replicas. */
  readonly newBatchId: () => string;
}

interface Batch {
  readonly id: string;
  readonly rows: readonly UsageRow[];
}

/** A request that comes alone is in the store this soon; others that end meanwhile are in the same write. */
const SOON_MS = 25;
/** Handing over more at once would hold up requests. */
const MAX_BATCH_ROWS = 1000;
const PAUSES_MS: readonly Milliseconds[] = [500, 1000, 2000, 5000, 10_000, 30_000];
/** At the end; a store that is gone already must not hold it up. */
const LAST_ROWS_WITHIN_MS = 3000;
const LAST_TRIES_WITHIN_MS = 1000;
const LAST_PAUSE_MS = 100;

export class UsageWriter {
  readonly #options: UsageWriterOptions;
  readonly #waiting = new UsageAccumulator();
  /** Being written, or to be written again. */
  #batch: Batch | undefined;
  #writing: Promise<boolean> | undefined;
  #timer: Timer | undefined;
  /** In a row. */
  #failures = 0;
  #wroteAt: Milliseconds = Number.NEGATIVE_INFINITY;
  #hasDropped = false;
  #isClosed = false;

  constructor(options: UsageWriterOptions) {
    this.#options = options;
    this.#batch = undefined;
    this.#writing = undefined;
    this.#timer = undefined;
  }

  teams(): ReturnType<TeamUsage['all']> {
    return this.#waiting.teams.all();
  }

  /** See the accumulator's. */
  get dropped(): number {
    return this.#waiting.dropped;
  }

  /** Rows that are not in the store yet. */
  get unwritten(): number {
    return this.#waiting.waiting + (this.#batch?.rows.length ?? 0);
  }

  /** The last write failed. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** A request to a model has ended. */
  ended(request: EndedRequest): void {
    const { clock, settings } = this.#options;
    const { enabled, maxRows, prices } = settings;
    if (!enabled || this.#isClosed) return;
    const room = maxRows - (this.#batch?.rows.length ?? 0);
    this.#waiting.add(request, { now: clock.wallNow(), room, prices });
    if (!this.#hasDropped && this.#waiting.dropped > 0) this.#warnOfDrops();
    if (this.#timer === undefined && this.#writing === undefined) this.#writeSoon();
  }

  /** Writes what waits now, for a report that shall have it. Resolves when it is written, cannot be, or the time is over. */
  async flush(withinMs: Milliseconds): Promise<void> {
    if (this.isFailing) return;
    await this.#within(withinMs, async () => {
      // What is under way may have been taken before the newest rows came.
      if (this.#writing !== undefined && !(await this.#writing)) return;
      await this.#write();
    });
  }

  /** No request ends any more. Writes all that waits; what is not written within a few seconds is lost. */
  async close(): Promise<void> {
    const withinMs = this.isFailing ? LAST_TRIES_WITHIN_MS : LAST_ROWS_WITHIN_MS;
    this.#isClosed = true;
    let isOver = false;
    await this.#within(withinMs, async () => {
      while (this.unwritten > 0 && !isOver) {
        const isWritten = await this.#write();
        if (!isWritten && !isOver) await this.#pause(LAST_PAUSE_MS);
      }
    });
    isOver = true;
    this.#timer?.cancel();
    if (this.unwritten === 0) return;
    this.#options.log.error(
      `Usage was lost: the store took no more in the ${withinMs / 1000} seconds before the end.`,
      { rows: this.unwritten },
    );
  }

  /** Not before the pause between two writes is over. */
  #writeSoon(): void {
    const { clock, settings } = this.#options;
    this.#writeIn(Math.max(SOON_MS, this.#wroteAt + settings.flushMs - clock.now()));
  }

  #writeIn(delayMs: Milliseconds): void {
    this.#timer = this.#options.clock.schedule(delayMs, () => {
      this.#timer = undefined;
      void this.#write();
    });
  }

  /** Joins a write that is under way. Resolves with whether it succeeded. */
  #write(): Promise<boolean> {
    if (this.#writing !== undefined) return this.#writing;
    const { clock, store, newBatchId } = this.#options;
    if (this.#batch === undefined) {
      if (this.#waiting.waiting === 0) return Promise.resolve(true);
      this.#batch = { id: newBatchId(), rows: this.#waiting.take(MAX_BATCH_ROWS) };
    }
    const { id, rows } = this.#batch;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wroteAt = clock.now();
    this.#writing = store.add(rows, id).then(
      () => this.#written(),
      (error: unknown) => this.#failed(error),
    );
    return this.#writing;
  }

  #written(): boolean {
    const { log } = this.#options;
    this.#writing = undefined;
    this.#batch = undefined;
    if (this.#failures > 0) log.info('Usage is written again.', { rows: this.unwritten });
    this.#failures = 0;
    if (this.#waiting.waiting >= MAX_BATCH_ROWS) this.#writeIn(0);
    else if (this.#waiting.waiting > 0) this.#writeSoon();
    return true;
  }

  #failed(error: unknown): boolean {
    const { log } = this.#options;
    this.#writing = undefined;
    this.#failures += 1;
    if (this.#failures === 1)
      log.warn(
        `Usage can’t be written, and is kept to be tried again: ${error instanceof Error ? error.message : String(error)}`,
      );
    this.#writeIn(PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length) - 1] ?? 0);
    return false;
  }

  #warnOfDrops(): void {
    this.#hasDropped = true;
    const { log, settings } = this.#options;
    log.warn(
      `Usage is dropped: ${settings.maxRows} rows (usage.max_rows) wait for the store. Further ones are only counted (llm_serve_usage_rows_dropped_total).`,
    );
  }

  #pause(ms: Milliseconds): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.schedule(ms, resolve));
  }

  async #within(ms: Milliseconds, run: () => Promise<void>): Promise<void> {
    let limit: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      limit = this.#options.clock.schedule(ms, resolve);
    });
    await Promise.race([run(), over]);
    limit?.cancel();
  }
}
