/**
 * Counts and percentiles of the last minute in bounded memory: a ring of seconds, and their sum. A value goes into a bucket 4 % wide,
 * so a percentile is off by at most that.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { LivePercentiles } from '../core/live-snapshot.ts';

export const WINDOW_SECONDS = 60;

const GROWTH = 1.04;
/** In milliseconds: what is shorter counts as that. */
const SMALLEST = 0.01;
/** Up to an hour. */
const BUCKETS = Math.ceil(Math.log(3_600_000 / SMALLEST) / Math.log(GROWTH)) + 1;
const PER_BUCKET = 1 / Math.log(GROWTH);

/** Goes from second to second; the windows of one clock share it. */
export class WindowClock {
  readonly #startedAt: Milliseconds;
  readonly #turns: (() => void)[] = [];
  /** Whole seconds since the start. */
  #second = 0;

  constructor(now: Milliseconds) {
    this.#startedAt = now;
  }

  /** Seconds that the window covers by now. */
  seconds(now: Milliseconds): number {
    return Math.min(WINDOW_SECONDS, (now - this.#startedAt) / 1000);
  }

  /** `run` is called for each second that begins. */
  onTurn(run: () => void): void {
    this.#turns.push(run);
  }

  advance(now: Milliseconds): void {
    const second = Math.floor((now - this.#startedAt) / 1000);
    // After a minute everything has been forgotten.
    const turns = Math.min(WINDOW_SECONDS, second - this.#second);
    for (let turn = 0; turn < turns; turn += 1) for (const run of this.#turns) run();
    this.#second = Math.max(this.#second, second);
  }
}

export class RecentCount {
  readonly #seconds = new Array<number>(WINDOW_SECONDS).fill(0);
  #at = 0;
  #sum = 0;

  constructor(clock: WindowClock) {
    clock.onTurn(() => {
      this.#at = (this.#at + 1) % WINDOW_SECONDS;
      this.#sum -= this.#seconds[this.#at] ?? 0;
      this.#seconds[this.#at] = 0;
    });
  }

  get sum(): number {
    return this.#sum;
  }

  add(amount: number): void {
    this.#seconds[this.#at] = (this.#seconds[this.#at] ?? 0) + amount;
    this.#sum += amount;
  }
}

export class RecentValues {
  readonly #seconds = Array.from({ length: WINDOW_SECONDS }, () => new Map<number, number>());
  readonly #sum = new Uint32Array(BUCKETS);
  #at = 0;
  #count = 0;

  constructor(clock: WindowClock) {
    clock.onTurn(() => this.#turn());
  }

  /** `value` in milliseconds. */
  add(value: Milliseconds): void {
    this.addToBucket(bucketOf(value), 1);
  }

  /** `count` values, each of which `bucketOf` puts there. */
  addToBucket(bucket: number, count: number): void {
    const second = this.#seconds[this.#at];
    second?.set(bucket, (second.get(bucket) ?? 0) + count);
    this.#sum[bucket] = (this.#sum[bucket] ?? 0) + count;
    this.#count += count;
  }

  /** Null where there were none. */
  get percentiles(): LivePercentiles | null {
    if (this.#count === 0) return null;
    return {
      p50: this.#percentile(0.5),
      p90: this.#percentile(0.9),
      p99: this.#percentile(0.99),
      count: this.#count,
    };
  }

  #turn(): void {
    this.#at = (this.#at + 1) % WINDOW_SECONDS;
    const oldest = this.#seconds[this.#at];
    if (oldest === undefined) return;
    for (const [bucket, count] of oldest) {
      this.#sum[bucket] = (this.#sum[bucket] ?? 0) - count;
      this.#count -= count;
    }
    oldest.clear();
  }

  #percentile(share: number): number {
    const rank = Math.ceil(share * this.#count);
    let seen = 0;
    let bucket = 0;
    for (; bucket < BUCKETS; bucket += 1) {
      seen += this.#sum[bucket] ?? 0;
      if (seen >= rank) break;
    }
    return middleOf(bucket);
  }
}

export function bucketOf(value: Milliseconds): number {
  if (!(value > SMALLEST)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(value / SMALLEST) * PER_BUCKET));
}

/** With two digits after the point. */
function middleOf(bucket: number): number {
  const middle = SMALLEST * GROWTH ** (bucket - 0.5);
  return bucket === 0 ? 0 : Math.round(middle * 100) / 100;
}
