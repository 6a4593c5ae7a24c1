/**
 * Two runs side by side, from their JSON: the ratio of each figure with its spread, and whether the difference is beyond the noise within
 * the runs. What differs between two runs of the same kind (a busy machine, a warm cache) is not in that noise.
 */

import { UsageError } from './read-option.ts';
import {
  type DistributionJson,
  FORMAT,
  FORMAT_VERSION,
  type LoadJson,
  type PercentileJson,
  type RunJson,
} from './report-json.ts';
import { figure, textTable } from './report-text.ts';

/** `name` of the file, for messages. */
export function readRun(text: string, name: string): RunJson {
  let value: Partial<RunJson> | null;
  try {
    value = JSON.parse(text) as Partial<RunJson> | null;
  } catch (error) {
    throw new UsageError(`${name} is not JSON: ${(error as Error).message}`);
  }
  if (value?.format !== FORMAT || !Array.isArray(value.steps))
    throw new UsageError(`${name} is no result of llm-serve bench --json.`);
  if (value.format_version !== FORMAT_VERSION)
    throw new UsageError(
      `${name} has format version ${value.format_version}, this program reads ${FORMAT_VERSION}.`,
    );
  return value as RunJson;
}

/** The second over the first. `low` and `high`: with a confidence of 95 %; undefined where that cannot be said. */
export interface Ratio {
  readonly value: number;
  readonly low: number | undefined;
  readonly high: number | undefined;
}

type StepJson = RunJson['steps'][number];

const MEANS = [
  ['TTFT mean', 'ttft_ms'],
  ['TPOT mean', 'tpot_ms'],
  ['E2E mean', 'e2e_ms'],
] as const;
const PERCENTILES = [
  ['TTFT p50', 'ttft_ms', 'p50'],
  ['TTFT p99', 'ttft_ms', 'p99'],
  ['TPOT p50', 'tpot_ms', 'p50'],
  ['E2E p50', 'e2e_ms', 'p50'],
  ['E2E p99', 'e2e_ms', 'p99'],
] as const;
/** Without a spread: a run has one of each. */
const RATES = [
  ['tokens/s', 'output_tokens_per_second'],
  ['answers/s', 'completed_per_second'],
  ['goodput/s', 'goodput_per_second'],
] as const;
const Z_95 = 1.959964;

export function compareRuns(first: RunJson, second: RunJson): string {
  const pairs = first.steps.flatMap((step) => {
    const other = second.steps.find(({ load }) => loadName(load) === loadName(step.load));
    return other === undefined ? [] : [{ step, other }];
  });
  if (pairs.length === 0)
    return `The runs have no load in common: ${loadsText(first)} in A, ${loadsText(second)} in B. Nothing can be compared.\n`;
  const blocks = pairs.map(({ step, other }) => `${loadName(step.load)}\n${stepComparison(step, other)}`);
  const parts = [headText(first, second), ...blocks, warnings(pairs), CAVEAT];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** What makes figures of a load no measure of its server, or no measure of all that was asked. */
function warnings(pairs: readonly { readonly step: StepJson; readonly other: StepJson }[]): string {
  const warn = (run: string, { load, client, requests, completed }: StepJson) => {
    // A file of an earlier version has no problem, and none that is known.
    const problem = client?.problem ?? undefined;
    return [
      ...(problem === undefined
        ? []
        : [`- ${run}, ${loadName(load)}: the client was the bottleneck: ${problem}.`]),
      ...(completed === requests
        ? []
        : [
            `- ${run}, ${loadName(load)}: ${requests - completed} of ${requests} requests did not complete; latencies are those of the others.`,
          ]),
    ];
  };
  return pairs.flatMap(({ step, other }) => [...warn('A', step), ...warn('B', other)]).join('\n');
}

const CAVEAT =
  'The spread is that within the two runs (95 %). Runs of the same server differ by more than that where its machine or its caches do: repeat both before believing a small difference.';

function headText(first: RunJson, second: RunJson): string {
  const differing = (
    [
      ['address', first.address, second.address],
      ['server', first.server, second.server],
      ['model', first.model, second.model],
      ['protocol', first.protocol, second.protocol],
      ['settings', JSON.stringify(first.settings), JSON.stringify(second.settings)],
      ['targets', JSON.stringify(first.objectives_ms), JSON.stringify(second.objectives_ms)],
    ] as const
  ).filter(([, one, other]) => one !== other);
  return [
    `A: ${first.started_at}, B: ${second.started_at}`,
    ...differing.map(([name, one, other]) => `${name} differs: ${one} | ${other}`),
  ].join('\n');
}

function stepComparison(one: StepJson, other: StepJson): string {
  const rows = [
    ...RATES.map(([name, field]) => rateRow(name, one[field], other[field])),
    ...MEANS.flatMap(([name, field]) => meanRow(name, one[field], other[field])),
    ...PERCENTILES.flatMap(([name, field, share]) =>
      percentileRow(name, one[field]?.[share], other[field]?.[share]),
    ),
  ];
  return textTable([['', 'A', 'B', 'B ÷ A', 'SPREAD', ''], ...rows]);
}

function rateRow(name: string, one: number, other: number): readonly string[] {
  return [name, figure(one), figure(other), one === 0 ? '–' : ratioText(other / one), '–', ''];
}

function meanRow(
  name: string,
  one: DistributionJson | null,
  other: DistributionJson | null,
): readonly (readonly string[])[] {
  if (one === null || other === null) return [];
  const ratio = ratioOfMeans(one, other);
  return [
    [name, figure(one.mean), figure(other.mean), ratioText(ratio.value), spreadText(ratio), judgement(ratio)],
  ];
}

/** By the delta method on the logarithm, which keeps the bounds above 0. */
export function ratioOfMeans(one: DistributionJson, other: DistributionJson): Ratio {
  const value = other.mean / one.mean;
  if (one.count < 2 || other.count < 2) return { value, low: undefined, high: undefined };
  const relative = ({ deviation, mean, count }: DistributionJson) => (deviation / mean) ** 2 / count;
  const spread = Math.exp(Z_95 * Math.sqrt(relative(one) + relative(other)));
  return { value, low: value / spread, high: value * spread };
}

function percentileRow(
  name: string,
  one: PercentileJson | undefined,
  other: PercentileJson | undefined,
): readonly (readonly string[])[] {
  if (one === undefined || other === undefined) return [];
  const ratio = ratioOfPercentiles(one, other);
  return [
    [
      name,
      figure(one.value),
      figure(other.value),
      ratioText(ratio.value),
      spreadText(ratio),
      judgement(ratio),
    ],
  ];
}

/** The widest that the bounds of both allow: on the safe side. */
export function ratioOfPercentiles(one: PercentileJson, other: PercentileJson): Ratio {
  const value = other.value / one.value;
  if (one.low === null || one.high === null || other.low === null || other.high === null)
    return { value, low: undefined, high: undefined };
  return { value, low: other.low / one.high, high: other.high / one.low };
}

function judgement({ value, low, high }: Ratio): string {
  // Of times that are 0, as between tokens that arrive in one piece.
  if (!Number.isFinite(value)) return '';
  if (low === undefined || high === undefined) return 'too few requests to say';
  if (low <= 1 && high >= 1) return 'no difference beyond noise';
  return value > 1 ? 'B is higher' : 'B is lower';
}

function spreadText({ low, high }: Ratio): string {
  return low === undefined || high === undefined ? '–' : `${ratioText(low)}–${ratioText(high)}`;
}

const ratioText = (value: number) => (Number.isFinite(value) ? value.toFixed(2) : '–');

function loadName(load: LoadJson): string {
  if (load.kind === 'closed') return load.concurrency === 1 ? '1 user' : `${load.concurrency} users`;
  return load.burstiness === 1 ? `${load.rate}/s` : `${load.rate}/s, burstiness ${load.burstiness}`;
}

function loadsText({ steps }: RunJson): string {
  return steps.map(({ load }) => loadName(load)).join(', ') || 'none';
}
