/**
 * The metrics of several processes as those of one server. What a process had counted when it was last read stays counted after its
 * end, so that no counter ever falls. Pure.
 */
import type { MetricFamily, Sample } from './prometheus.ts';

/** A family as it was read, which can be sent to another process. */
export interface ReadFamily extends Omit<MetricFamily, 'samples'> {
  readonly samples: readonly Sample[];
}

export function readFamilies(families: readonly MetricFamily[]): readonly ReadFamily[] {
  return families.map((family) => ({ ...family, samples: family.samples() }));
}

export class ProcessSum {
  /** By process, as they were last read. */
  readonly #processes = new Map<string, readonly ReadFamily[]>();
  /** What ended processes had counted, by the name of the family. */
  readonly #ended = new Map<string, ReadFamily>();

  /** `process`: a name that none has had before. */
  set(process: string, families: readonly ReadFamily[]): void {
    this.#processes.set(process, families);
  }

  /** It has ended; its gauges are gone. */
  end(process: string): void {
    const families = this.#processes.get(process) ?? [];
    this.#processes.delete(process);
    for (const family of families) {
      if (family.type === 'gauge' || (family.across ?? 'sum') !== 'sum') continue;
      const before = this.#ended.get(family.name)?.samples ?? [];
      this.#ended.set(family.name, { ...family, samples: combined([...before, ...family.samples], 'sum') });
    }
  }

  /** In the order in which the processes have them, the first one's first. */
  families(): readonly MetricFamily[] {
    const parts = new Map<string, { readonly family: ReadFamily; readonly samples: Sample[] }>();
    const add = (family: ReadFamily, samples: readonly Sample[]) => {
      const known = parts.get(family.name);
      if (known === undefined) parts.set(family.name, { family, samples: [...samples] });
      else known.samples.push(...samples);
    };
    for (const [process, families] of this.#processes)
      for (const family of families) {
        const isOfEach = family.across === 'each';
        add(
          family,
          isOfEach
            ? family.samples.map((sample) => ({ ...sample, labels: { process, ...sample.labels } }))
            : family.samples,
        );
      }
    for (const family of this.#ended.values()) add(family, family.samples);
    return [...parts.values()].map(({ family, samples }) => ({
      ...family,
      samples: () => combined(samples, family.across ?? 'sum'),
    }));
  }
}

const COMBINE: Readonly<Record<NonNullable<MetricFamily['across']>, (one: number, other: number) => number>> =
  {
    sum: (one, other) => one + other,
    max: Math.max,
    min: Math.min,
    // No two processes have one name.
    each: (one) => one,
  };

/** One sample for each set of labels, in the order in which they came first. */
function combined(
  samples: readonly Sample[],
  across: NonNullable<MetricFamily['across']>,
): readonly Sample[] {
  const combine = COMBINE[across];
  const found = new Map<string, { suffix: string | undefined; labels: Sample['labels']; value: number }>();
  for (const { suffix, labels, value } of samples) {
    const key = JSON.stringify([suffix, ...Object.entries(labels).sort(byName)]);
    const known = found.get(key);
    if (known === undefined) found.set(key, { suffix, labels, value });
    else known.value = combine(known.value, value);
  }
  return [...found.values()].map(({ suffix, labels, value }) =>
    suffix === undefined ? { labels, value } : { suffix, labels, value },
  );
}

function byName([one]: readonly [string, string], [other]: readonly [string, string]): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
