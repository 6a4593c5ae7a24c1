/**
 * A Prometheus histogram with the one label `model`, cheap enough to be fed for every token: an observation is a search
 * in a short list and two additions, the labels are put together only when it is scraped.
 */
import type { MetricFamily, Sample } from './exposition.ts';

interface Series {
  /** Observations per bucket, each on its own; the last is above every boundary. */
  readonly counts: number[];
  sum: number;
}

export interface ModelHistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Upper boundaries, ascending. */
  readonly buckets: readonly number[];
}

export class ModelHistogram implements MetricFamily {
  readonly type = 'histogram';
  readonly name: string;
  readonly help: string;
  readonly #buckets: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor({ name, help, buckets }: ModelHistogramOptions) {
    this.name = name;
    this.help = help;
    this.#buckets = buckets;
  }

  observe(model: string, value: number): void {
    let series = this.#series.get(model);
    if (!series) {
      series = { counts: new Array(this.#buckets.length + 1).fill(0), sum: 0 };
      this.#series.set(model, series);
    }
    let bucket = 0;
    while (bucket < this.#buckets.length && value > (this.#buckets[bucket] ?? 0)) bucket += 1;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += value;
  }

  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    for (const [model, { counts, sum }] of this.#series) {
      let below = 0;
      for (const [index, count] of counts.entries()) {
        below += count;
        const le = String(this.#buckets[index] ?? '+Inf');
        samples.push({ suffix: '_bucket', labels: { le, model }, value: below });
      }
      samples.push({ suffix: '_sum', labels: { model }, value: sum });
      samples.push({ suffix: '_count', labels: { model }, value: below });
    }
    return samples;
  }
}
