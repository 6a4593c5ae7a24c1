/** What a run sends: lengths, arrivals, prompts and datasets, the same for the same seed. */
import { describe, expect, it } from 'vitest';
import { readDataset } from '../../../src/bench/dataset.ts';
import { drawLength, lengthText, parseLength } from '../../../src/bench/lengths.ts';
import { type PlannedRequest, planRequests, type Step, type Workload } from '../../../src/bench/plan.ts';
import { calibrate, UNCALIBRATED } from '../../../src/bench/prompts.ts';
import { RandomSource } from '../../../src/bench/random.ts';

const WORKLOAD: Workload = {
  promptTokens: { kind: 'uniform', min: 20, max: 40 },
  outputTokens: { kind: 'fixed', tokens: 8 },
  prefixTokens: 0,
  prefixShare: 1,
  dataset: undefined,
  hasDatasetLengths: false,
  seed: 1,
};
const POISSON: Step = { kind: 'open', rate: 10, burstiness: 1 };

function planned(count: number, { step = POISSON, ...changes }: Partial<Workload> & { step?: Step } = {}) {
  const plan = planRequests(step, 0, { ...WORKLOAD, ...changes }, UNCALIBRATED);
  return Array.from({ length: count }, (): PlannedRequest => plan.next().value);
}
const contentOf = ({ messages }: PlannedRequest) => messages.map(({ content }) => content).join('\n');
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
function deviation(values: readonly number[]) {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}

describe('lengths', () => {
  it.each([
    ['128', 128, 0],
    ['100-200', 150, 29],
    ['normal:200,20', 200, 20],
    ['lognormal:100,0.5', 113.3, 60.4],
  ])('%s has the mean %d and the deviation %d', (text, expectedMean, expectedDeviation) => {
    const spec = parseLength(text, '--prompt-tokens');
    const random = new RandomSource(5);
    const lengths = Array.from({ length: 20_000 }, () => drawLength(spec, random));
    expect(Math.abs(mean(lengths) - expectedMean)).toBeLessThan(0.02 * expectedMean);
    expect(Math.abs(deviation(lengths) - expectedDeviation)).toBeLessThan(0.05 * expectedMean);
    expect(lengthText(spec)).toBe(text);
  });

  it.each(['', '0', '-5', '1.5', '200-100', 'normal:100', 'gauss:1,2', '99999999'])(
    '"%s" is none',
    (text) => {
      expect(() => parseLength(text, '--prompt-tokens')).toThrow(`--prompt-tokens is "${text}"; write `);
    },
  );
});

describe('arrivals', () => {
  const gapsOf = (burstiness: number) => {
    const requests = planned(20_000, { step: { ...POISSON, burstiness } });
    return requests.slice(1).map(({ dueAt = 0 }, index) => dueAt - requests[index]!.dueAt!);
  };

  it.each([
    [1, 1],
    [4, 0.5],
    [0.25, 2],
  ])('with burstiness %d come at the rate, their gaps varying by %d of the mean', (burstiness, variation) => {
    const gaps = gapsOf(burstiness);
    expect(mean(gaps)).toBeGreaterThan(95);
    expect(mean(gaps)).toBeLessThan(105);
    expect(deviation(gaps) / mean(gaps)).toBeCloseTo(variation, 1);
  });

  it('of a closed loop have no time', () => {
    expect(planned(2, { step: { kind: 'closed', concurrency: 2 } })[1]!.dueAt).toBeUndefined();
  });
});

describe('prompts', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(planned(5)).toEqual(planned(5));
    expect(planned(5)).not.toEqual(planned(5, { seed: 2 }));
  });

  it('are unlike each other, so that no cache of prefixes flatters the server', () => {
    const beginnings = planned(50).map((request) => contentOf(request).slice(0, 30));
    expect(new Set(beginnings).size).toBe(50);
  });

  it('share a prefix, in the part of the requests that has it', () => {
    const requests = planned(400, { prefixTokens: 50, prefixShare: 0.25 });
    const prefixes = requests.map((request) => contentOf(request).split(' ').slice(0, 50).join(' '));
    const shared = prefixes.find((prefix, index) => prefixes.indexOf(prefix) < index);
    const withPrefix = requests.filter((_, index) => prefixes[index] === shared);
    expect(withPrefix.length).toBeGreaterThan(70);
    expect(withPrefix.length).toBeLessThan(130);
    for (const { promptTokens } of withPrefix) expect(promptTokens).toBeGreaterThanOrEqual(70);
  });

  it('are as long as the server counts, its template included', () => {
    const calibration = calibrate({ words: 16, tokens: 52 }, { words: 80, tokens: 180 });
    expect(calibration).toEqual({ perWord: 2, overhead: 20, isMeasured: true });
    const { value } = planRequests(
      POISSON,
      0,
      { ...WORKLOAD, promptTokens: { kind: 'fixed', tokens: 120 } },
      calibration,
    ).next();
    expect(contentOf(value).split(' ')).toHaveLength(50);
  });

  it('of a server whose counts make no sense are measured in words', () => {
    expect(calibrate({ words: 16, tokens: 4096 }, { words: 80, tokens: 4096 })).toBe(UNCALIBRATED);
  });
});

describe('a dataset', () => {
  const SHARE_GPT = {
    conversations: [
      { from: 'human', value: 'Why?' },
      { from: 'gpt', value: 'b'.repeat(40) },
    ],
  };

  it('has prompts, messages or conversations, a line or an array', () => {
    const lines = [
      { prompt: 'Hi', output_tokens: 7 },
      { messages: [{ role: 'user', content: 'Ho' }] },
      SHARE_GPT,
    ];
    const dataset = readDataset(lines.map((line) => JSON.stringify(line)).join('\n'), 'a.jsonl');
    expect(dataset).toEqual(readDataset(JSON.stringify(lines), 'a.json'));
    const requests = planned(60, { dataset, hasDatasetLengths: true });
    expect(new Set(requests.map(contentOf))).toEqual(new Set(['Hi', 'Ho', 'Why?']));
    const lengths = new Map(requests.map((request) => [contentOf(request), request.outputTokens]));
    expect(Object.fromEntries(lengths)).toEqual({ Hi: 7, Ho: 128, 'Why?': 10 });
    const given = planned(60, { dataset, hasDatasetLengths: false });
    expect(new Set(given.map(({ outputTokens }) => outputTokens))).toEqual(new Set([8]));
  });

  it('leaves out conversations that do not begin with a question', () => {
    const other = { conversations: [{ from: 'gpt', value: 'I answer' }] };
    expect(readDataset(JSON.stringify([SHARE_GPT, other, { conversations: [] }]), 'a.json')).toHaveLength(1);
  });

  it.each([
    ['{"prompt":', 'a.jsonl: line 1 is not JSON'],
    ['{"prompt":"x"}\n{"text":"y"}', 'a.jsonl: entry 2 has none of prompt'],
    ['\n', 'a.jsonl has no prompt in it'],
    ['[1', 'a.jsonl is not a JSON array'],
  ])('that is %j is refused with its place', (text, message) => {
    expect(() => readDataset(text, 'a.jsonl')).toThrow(message);
  });
});
