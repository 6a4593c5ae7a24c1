/**
 * A Prometheus counter with one or two labels, cheap enough to be counted for every request: a look-up per label and an
 * addition. A label set begins to exist when it is first counted.
 */
import type { MetricFamily, Sample } from './exposition.ts';

export interface CounterOptions {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly [string] | readonly [string, string];
}

export class Counter implements MetricFamily {
  readonly type = 'counter';
  readonly name: string;
  readonly help: string;
  readonly #labels: CounterOptions['labels'];
  /** First label's value, then the second's; '' where there is none. */
  readonly #counts = new Map<string, Map<string, { value: number }>>();

  constructor({ name, help, labels }: CounterOptions) {
    this.name = name;
    this.help = help;
    this.#labels = labels;
  }

  add(amount: number, first: string, second = ''): void {
    const count = this.#counts.get(first)?.get(second);
    if (count) count.value += amount;
    else this.#begin(amount, first, second);
  }

  samples(): readonly Sample[] {
    const [firstLabel, secondLabel] = this.#labels;
    return [...this.#counts].flatMap(([first, counts]) =>
      [...counts].map(([second, { value }]) => ({
        labels: { [firstLabel]: first, ...(secondLabel === undefined ? {} : { [secondLabel]: second }) },
        value,
      })),
    );
  }

  #begin(value: number, first: string, second: string): void {
    const counts = this.#counts.get(first);
    if (counts) counts.set(second, { value });
    else this.#counts.set(first, new Map([[second, { value }]]));
  }
}
