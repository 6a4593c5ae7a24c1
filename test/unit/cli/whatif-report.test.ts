import { expect, it } from 'vitest';
import { type WhatIfResult, whatIfChart, whatIfText } from '../../../src/cli/whatif-report.ts';
import type { Figures } from '../../../src/simulation/outcomes.ts';

const FIGURES: Figures = {
  ...{ requests: 60, finished: 60, withinObjectives: 40, failed: 0, cancelled: 0, rejected: {} },
  queueMs: { p50: 2000, p90: 3000, p99: 3500 },
  ttftMs: { p50: 2050, p90: 3100, p99: 3600 },
  e2eMs: { p50: 2400, p90: 3600, p99: 3900 },
  ...{ tokensPerSecond: 65, goodputPerSecond: 5.2, slotsUsed: 2, slots: 2 },
};
const FASTER: Figures = {
  ...FIGURES,
  queueMs: { p50: 0, p90: 0, p99: 100 },
  ttftMs: { p50: 55, p90: 74.4, p99: 223 },
  e2eMs: { p50: 366, p90: 5400, p99: 5850 },
  ...{ tokensPerSecond: 92.3, goodputPerSecond: 7.4, slotsUsed: 2.8, slots: 8 },
};
const RESULT: WhatIfResult = {
  record: { started_at_ms: 0, version: '1.2.3', runs: 1, underOtherSettings: 0, unreadable: 0 },
  changes: { slots: 8, maxQueue: undefined },
  objectives: { ttft_ms: null, tpot_ms: null, e2e_ms: null },
  ...{ recorded: FIGURES, replayed: FIGURES, what_if: FASTER, extrapolates: undefined, service: {} },
  error: { part: 0.002, figure: 'first token, p50' },
};

it('shows what was, what the replay makes of it, what would be, and by how much that differs', () => {
  expect(whatIfText(RESULT).split('\n')).toEqual([
    '                       recorded  replayed   what if  change',
    'requests                     60        60        60',
    'finished                     60        60        60',
    'in the queue p50         2.00 s    2.00 s      0 ms  −100 %',
    'in the queue p90         3.00 s    3.00 s      0 ms  −100 %',
    'in the queue p99         3.50 s    3.50 s    100 ms   −97 %',
    'first token p50          2.05 s    2.05 s     55 ms   −97 %',
    'first token p90          3.10 s    3.10 s     74 ms   −98 %',
    'first token p99          3.60 s    3.60 s    223 ms   −94 %',
    'whole answer p50         2.40 s    2.40 s    366 ms   −85 %',
    'whole answer p90         3.60 s    3.60 s    5.40 s   +50 %',
    'whole answer p99         3.90 s    3.90 s    5.85 s   +50 %',
    'answers per second         5.20      5.20      7.40   +42 %',
    'tokens per second          65.0      65.0      92.3   +42 %',
    'slots used on average  2.0 of 2  2.0 of 2  2.8 of 8',
    '',
    'The replay with the recorded settings is within 1 % of what was recorded.',
    'With --slots 8, nine of ten first tokens come within 74 ms instead of 3.10 s, and 92.3 tokens per second are served instead of 65.0.',
    '',
  ]);
});

it('has rows of objectives, rejections and failures only where there are any', () => {
  const objectives = { ttft_ms: 500, tpot_ms: null, e2e_ms: null };
  const refusing = { ...FASTER, finished: 50, rejected: { queue_full: 10 }, failed: 1 };
  const text = whatIfText({ ...RESULT, objectives, what_if: refusing, changes: { maxQueue: 3, load: 2 } });
  expect(text).toMatch(/^within objectives +40 +40 +40$/m);
  expect(text).toMatch(/^rejected: queue_full +0 +0 +10$/m);
  expect(text).toMatch(/^failed +0 +0 +1$/m);
  expect(text).toMatch(/^answers within objectives per second +5\.20 /m);
  expect(text).not.toContain('cancelled');
  expect(text).toContain('With --max-queue 3 --load 2, 50 of 60 requests finish instead of 60, nine of ten');
});

it.each([
  [{ what_if: undefined, changes: {} }, 'Name what would be different: --slots 8'],
  [{ what_if: FIGURES }, 'With --slots 8 nothing changes by more than the replay is off.'],
  [
    { error: { part: 0.3, figure: 'first token, p50' } },
    'is off by up to 30 % (first token, p50; a time below 20 ms counts as 20 ms): trust differences that are clearly larger.',
  ],
  [
    { replayed: { ...FIGURES, ttftMs: undefined } },
    'nine of ten answers come within 5.40 s instead of 3.60 s',
  ],
  [{ record: { ...RESULT.record, runs: 2, unreadable: 1 } }, '1 line of it could not be read.'],
])('%j: %s', (change, sentence) => {
  expect(whatIfText({ ...RESULT, ...change })).toContain(sentence);
});

it('the chart has the times side by side, and names what would be different', () => {
  const chart = whatIfChart(RESULT);
  for (const words of ['first token p90', 'with --slots 8', '60 requests; finished: 60 recorded'])
    expect(chart).toContain(words);
});
