/** The sums of the live feed: what the last minute brought. Listens only while somebody looks. */
import type { Milliseconds } from '../core/clock.ts';
import type { LiveSums } from '../core/live-snapshot.ts';
import {
  type LiveTally,
  TALLY_COUNTS,
  TALLY_VALUES,
  type TallyCount,
  type TallyTarget,
  type TallyValue,
} from '../core/live-tally.ts';
import type { Objectives } from '../core/objectives.ts';
import type { RequestRecord } from '../core/request-trace.ts';
import { addToSums } from './live-tally.ts';
import { RecentCount, RecentValues, WindowClock } from './recent-values.ts';

export class LiveSumsWindow implements TallyTarget {
  readonly #clock: WindowClock;
  readonly #settings: { readonly objectives: Objectives };
  readonly #counts: Readonly<Record<TallyCount, RecentCount>>;
  /** By error code. */
  readonly #rejected = new Map<string, RecentCount>();
  readonly #values: Readonly<Record<TallyValue, RecentValues>>;

  constructor(now: Milliseconds, settings: { readonly objectives: Objectives }) {
    const clock = new WindowClock(now);
    this.#clock = clock;
    this.#settings = settings;
    this.#counts = {
      finished: new RecentCount(clock),
      within_objectives: new RecentCount(clock),
      cancelled: new RecentCount(clock),
      failed: new RecentCount(clock),
      prompt_tokens: new RecentCount(clock),
      cached_tokens: new RecentCount(clock),
      completion_tokens: new RecentCount(clock),
    };
    this.#values = {
      ttft_ms: new RecentValues(clock),
      inter_token_ms: new RecentValues(clock),
      queue_ms: new RecentValues(clock),
    };
  }

  requestEnded(record: RequestRecord): void {
    this.#clock.advance(record.endedAt);
    addToSums(record, this.#settings.objectives, this);
  }

  tokenGap(gapMs: Milliseconds): void {
    this.#values.inter_token_ms.add(gapMs);
  }

  /** What another process has counted; it counts as of now. */
  add({ counts, rejected, values }: LiveTally, now: Milliseconds): void {
    this.#clock.advance(now);
    for (const name of TALLY_COUNTS) this.#counts[name].add(counts[name] ?? 0);
    for (const [code, count] of Object.entries(rejected)) this.#rejectedBy(code).add(count);
    for (const name of TALLY_VALUES)
      for (const [bucket, count] of values[name] ?? []) this.#values[name].addToBucket(bucket, count);
  }

  count(name: TallyCount, amount: number): void {
    this.#counts[name].add(amount);
  }

  rejected(code: string): void {
    this.#rejectedBy(code).add(1);
  }

  value(name: TallyValue, value: Milliseconds): void {
    this.#values[name].add(value);
  }

  at(now: Milliseconds): LiveSums {
    this.#clock.advance(now);
    const { ttftMs = null, tpotMs = null, e2eMs = null } = this.#settings.objectives;
    const rejected = [...this.#rejected].filter(([, { sum }]) => sum > 0);
    return {
      window_seconds: Math.round(this.#clock.seconds(now) * 10) / 10,
      finished: this.#counts.finished.sum,
      within_objectives: this.#counts.within_objectives.sum,
      objectives: { ttft_ms: ttftMs, tpot_ms: tpotMs, e2e_ms: e2eMs },
      cancelled: this.#counts.cancelled.sum,
      failed: this.#counts.failed.sum,
      rejected: Object.fromEntries(rejected.map(([code, { sum }]) => [code, sum])),
      prompt_tokens: this.#counts.prompt_tokens.sum,
      cached_tokens: this.#counts.cached_tokens.sum,
      completion_tokens: this.#counts.completion_tokens.sum,
      ttft_ms: this.#values.ttft_ms.percentiles,
      inter_token_ms: this.#values.inter_token_ms.percentiles,
      queue_ms: this.#values.queue_ms.percentiles,
    };
  }

  /** As many at most as the catalogue has codes. */
  #rejectedBy(code: string): RecentCount {
    const known = this.#rejected.get(code);
    if (known !== undefined) return known;
    const count = new RecentCount(this.#clock);
    this.#rejected.set(code, count);
    return count;
  }
}
