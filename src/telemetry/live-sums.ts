/** The sums of the live feed: what the last minute brought. Listens only while somebody looks. */
import type { Milliseconds } from '../core/clock.ts';
import { type ErrorCode, isRejection } from '../core/errors.ts';
import type { LiveSums } from '../core/live-snapshot.ts';
import { isFinished, meetsObjectives, type Objectives } from '../core/objectives.ts';
import { type RequestRecord, timingsOf } from '../core/request-trace.ts';
import { RecentCount, RecentValues, WindowClock } from './recent-values.ts';

export class LiveSumsWindow {
  readonly #clock: WindowClock;
  readonly #settings: { readonly objectives: Objectives };
  readonly #finished: RecentCount;
  readonly #within: RecentCount;
  readonly #cancelled: RecentCount;
  readonly #failed: RecentCount;
  readonly #rejected = new Map<ErrorCode, RecentCount>();
  readonly #promptTokens: RecentCount;
  readonly #cachedTokens: RecentCount;
  readonly #completionTokens: RecentCount;
  readonly #ttft: RecentValues;
  readonly #gaps: RecentValues;
  readonly #queue: RecentValues;

  constructor(now: Milliseconds, settings: { readonly objectives: Objectives }) {
    const clock = new WindowClock(now);
    this.#clock = clock;
    this.#settings = settings;
    this.#finished = new RecentCount(clock);
    this.#within = new RecentCount(clock);
    this.#cancelled = new RecentCount(clock);
    this.#failed = new RecentCount(clock);
    this.#promptTokens = new RecentCount(clock);
    this.#cachedTokens = new RecentCount(clock);
    this.#completionTokens = new RecentCount(clock);
    this.#ttft = new RecentValues(clock);
    this.#gaps = new RecentValues(clock);
    this.#queue = new RecentValues(clock);
  }

  requestEnded({ trace, endedAt }: RequestRecord): void {
    this.#clock.advance(endedAt);
    const { errorCode } = trace;
    const isRejected = errorCode !== undefined && isRejection(errorCode);
    if (isRejected) this.#rejectedBy(errorCode).add(1);
    if (trace.cancelPhase !== undefined) this.#cancelled.add(1);
    const { model, usage, firstTokenAt, receivedAt } = trace;
    if (model === undefined) return;
    if (errorCode !== undefined && !isRejected && trace.cancelPhase === undefined) this.#failed.add(1);
    if (trace.dispatchedAt !== undefined) this.#queue.add(timingsOf(trace, endedAt).queueMs);
    if (firstTokenAt !== undefined && !trace.unstreamed) this.#ttft.add(firstTokenAt - receivedAt);
    if (usage === undefined || !isFinished(trace)) return;
    this.#finished.add(1);
    this.#promptTokens.add(usage.promptTokens);
    this.#cachedTokens.add(usage.cachedTokens);
    this.#completionTokens.add(usage.completionTokens);
    if (meetsObjectives(trace, endedAt, this.#settings.objectives)) this.#within.add(1);
  }

  tokenGap(gapMs: Milliseconds): void {
    this.#gaps.add(gapMs);
  }

  at(now: Milliseconds): LiveSums {
    this.#clock.advance(now);
    const { ttftMs = null, tpotMs = null, e2eMs = null } = this.#settings.objectives;
    const rejected = [...this.#rejected].filter(([, { sum }]) => sum > 0);
    return {
      window_seconds: Math.round(this.#clock.seconds(now) * 10) / 10,
      finished: this.#finished.sum,
      within_objectives: this.#within.sum,
      objectives: { ttft_ms: ttftMs, tpot_ms: tpotMs, e2e_ms: e2eMs },
      cancelled: this.#cancelled.sum,
      failed: this.#failed.sum,
      rejected: Object.fromEntries(rejected.map(([code, { sum }]) => [code, sum])),
      prompt_tokens: this.#promptTokens.sum,
      cached_tokens: this.#cachedTokens.sum,
      completion_tokens: this.#completionTokens.sum,
      ttft_ms: this.#ttft.percentiles,
      inter_token_ms: this.#gaps.percentiles,
      queue_ms: this.#queue.percentiles,
    };
  }

  /** As many at most as the catalogue has codes. */
  #rejectedBy(code: ErrorCode): RecentCount {
    const known = this.#rejected.get(code);
    if (known !== undefined) return known;
    const count = new RecentCount(this.#clock);
    this.#rejected.set(code, count);
    return count;
  }
}
