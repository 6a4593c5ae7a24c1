/**
 * Metrics in the Prometheus text format, version 0.0.4: counters, histograms, and the page. Cheap to feed: text and labels are put
 * together only when the page is scraped.
 */
export interface Sample {
  /** Behind the family's name: `_bucket`, `_sum`, `_count` of a histogram. */
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** How one series of several processes is made of theirs; `each`: it stays one of each, with the label `process`. */
export type AcrossProcesses = 'sum' | 'max' | 'min' | 'each';

/** One metric with all of its label sets. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Absent: the sum. */
  readonly across?: AcrossProcesses;
  /** Put together only when it is scraped. */
  samples(): readonly Sample[];
}

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function exposition(families: readonly MetricFamily[]): string {
  return `${families.map(familyText).join('\n\n')}\n`;
}

function familyText(family: MetricFamily): string {
  const { name, help, type } = family;
  const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`];
  for (const { suffix = '', labels, value } of family.samples())
    lines.push(`${name}${suffix}${labelText(labels)} ${value}`);
  return lines.join('\n');
}

function labelText(labels: Sample['labels']): string {
  // To Prometheus an empty label is none.
  const pairs = Object.entries(labels)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}="${escapeValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

export interface CounterOptions {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly [string] | readonly [string, string] | readonly [string, string, string];
}

/** With up to three labels: a look-up for each and an addition. A label set exists once it has been counted. */
export class Counter implements MetricFamily {
  readonly type = 'counter';
  readonly name: string;
  readonly help: string;
  readonly #labels: CounterOptions['labels'];
  /** First label's value, then the second's, then the third's; '' where there is none. */
  readonly #counts = new Map<string, Map<string, Map<string, { value: number }>>>();

  constructor({ name, help, labels }: CounterOptions) {
    this.name = name;
    this.help = help;
    this.#labels = labels;
  }

  add(amount: number, first: string, second = '', third = ''): void {
    const count = this.#counts.get(first)?.get(second)?.get(third);
    if (count) count.value += amount;
    else this.#begin(amount, [first, second, third]);
  }

  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    for (const [first, ofFirst] of this.#counts)
      for (const [second, ofSecond] of ofFirst)
        for (const [third, { value }] of ofSecond) {
          const values = [first, second, third];
          const labels = Object.fromEntries(this.#labels.map((label, place) => [label, values[place] ?? '']));
          samples.push({ labels, value });
        }
    return samples;
  }

  #begin(value: number, [first, second, third]: readonly [string, string, string]): void {
    const ofFirst = this.#counts.get(first) ?? new Map<string, Map<string, { value: number }>>();
    const ofSecond = ofFirst.get(second) ?? new Map<string, { value: number }>();
    this.#counts.set(first, ofFirst);
    ofFirst.set(second, ofSecond);
    ofSecond.set(third, { value });
  }
}

interface Series {
  /** Observations per bucket, each on its own; the last is above every boundary. */
  readonly counts: number[];
  sum: number;
}

interface HistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Upper boundaries, ascending. */
  readonly buckets: readonly number[];
}

/** With the labels `model` and `target`: an observation is two look-ups, a search in a short list and two additions. */
export class Histogram implements MetricFamily {
  readonly type = 'histogram';
  readonly name: string;
  readonly help: string;
  readonly #buckets: readonly number[];
  /** Of each model, by target; '' where there is none. */
  readonly #series = new Map<string, Map<string, Series>>();

  constructor({ name, help, buckets }: HistogramOptions) {
    this.name = name;
    this.help = help;
    this.#buckets = buckets;
  }

  observe(value: number, model: string, target = ''): void {
    const series = this.#series.get(model)?.get(target) ?? this.#begin(model, target);
    let bucket = 0;
    while (bucket < this.#buckets.length && value > (this.#buckets[bucket] ?? 0)) bucket += 1;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += value;
  }

  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    for (const [model, ofModel] of this.#series)
      for (const [target, series] of ofModel) samples.push(...this.#samplesOf(series, { model, target }));
    return samples;
  }

  /** One series for each model, of all its targets together. */
  samplesByModel(labelsOf: (model: string) => Sample['labels']): readonly Sample[] {
    return [...this.#series].flatMap(([model, ofModel]) => {
      const all: Series = { counts: new Array(this.#buckets.length + 1).fill(0), sum: 0 };
      for (const { counts, sum } of ofModel.values()) {
        for (const [index, count] of counts.entries()) all.counts[index] = (all.counts[index] ?? 0) + count;
        all.sum += sum;
      }
      return this.#samplesOf(all, labelsOf(model));
    });
  }

  #samplesOf({ counts, sum }: Series, labels: Sample['labels']): readonly Sample[] {
    const samples: Sample[] = [];
    let below = 0;
    for (const [index, count] of counts.entries()) {
      below += count;
      const le = String(this.#buckets[index] ?? '+Inf');
      samples.push({ suffix: '_bucket', labels: { le, ...labels }, value: below });
    }
    samples.push({ suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: below });
    return samples;
  }

  #begin(model: string, target: string): Series {
    const series: Series = { counts: new Array(this.#buckets.length + 1).fill(0), sum: 0 };
    const ofModel = this.#series.get(model) ?? new Map<string, Series>();
    this.#series.set(model, ofModel);
    ofModel.set(target, series);
    return series;
  }
}
