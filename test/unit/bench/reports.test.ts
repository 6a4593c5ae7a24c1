/** What a run of fixed records looks like as a table, as JSON, as a page, and beside another run. */
import { describe, expect, it } from 'vitest';
import { compareRuns, ratioOfMeans, ratioOfPercentiles, readRun } from '../../../src/bench/compare.ts';
import { htmlReport } from '../../../src/bench/report-html.ts';
import { runJson } from '../../../src/bench/report-json.ts';
import { headText, textReport } from '../../../src/bench/report-text.ts';
import type { BenchRun } from '../../../src/bench/run.ts';
import { FIXED_ORIGIN, fixedRun } from '../../support/bench/fixed-run.ts';

const golden = (name: string) => `../../golden/bench/${name}`;
const jsonOf = (run: BenchRun, raw = false) => runJson(run, FIXED_ORIGIN, { raw });

describe('golden', () => {
  it('the table', async () => {
    await expect(`${headText(fixedRun())}\n\n${textReport(fixedRun())}`).toMatchFileSnapshot(
      golden('run.txt'),
    );
  });

  it('the JSON', async () => {
    await expect(`${JSON.stringify(jsonOf(fixedRun()), null, 2)}\n`).toMatchFileSnapshot(golden('run.json'));
  });

  it('the page', async () => {
    await expect(htmlReport(fixedRun(), FIXED_ORIGIN)).toMatchFileSnapshot(golden('run.html'));
  });

  it('the comparison', async () => {
    const text = compareRuns(jsonOf(fixedRun()), jsonOf(fixedRun(1.3, 2)));
    await expect(text).toMatchFileSnapshot(golden('comparison.txt'));
  });
});

describe('of several servers', () => {
  const addresses = ['http://one:8000', 'http://other:8000'];
  const run = fixedRun();
  const shared: BenchRun = {
    ...run,
    addresses,
    steps: run.steps.map((step) => ({
      ...step,
      servers: addresses.map((address) => ({ address, measures: step.measures })),
    })),
  };

  it('the table, the page and the JSON have what each did of each load', () => {
    const text = textReport(shared);
    expect(text).toMatch(/^SERVER +LOAD +DONE +ANSWERS\/s/m);
    expect(text.match(/^http:\/\/(one|other):8000 +[24] users +\d+\/40 /gm)).toHaveLength(4);
    expect(htmlReport(shared, FIXED_ORIGIN)).toContain('http://other:8000');
    expect(headText(shared)).toMatch(/^http:\/\/one:8000, http:\/\/other:8000: llm-serve/);
    const { address, steps } = jsonOf(shared);
    expect(address).toBe('http://one:8000, http://other:8000');
    expect(steps[0]?.servers).toMatchObject([
      { address: 'http://one:8000', completed: 40 },
      { address: 'http://other:8000', completed: 40 },
    ]);
  });
});

describe('the page', () => {
  it('needs nothing else, and runs no script', () => {
    const page = htmlReport(fixedRun(), FIXED_ORIGIN);
    expect(page).not.toMatch(/<script|<link|<img|src=|url\(|@import| on\w+="/);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '').match(/https?:\/\/[^<\s]+/g)).toEqual(
      expect.arrayContaining(['http://127.0.0.1:8000']),
    );
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('shows a model’s name as text, whatever is in it', () => {
    const page = htmlReport({ ...fixedRun(), model: '<img src=x onerror=alert(1)>' }, FIXED_ORIGIN);
    expect(page).not.toContain('<img');
    expect(page).toContain('&lt;img src=x onerror=alert(1)&gt;');
  });

  it('of a run that was broken off before anything was measured is a page too', () => {
    const page = htmlReport({ ...fixedRun(), steps: [], end: 'interrupted' }, FIXED_ORIGIN);
    expect(page).toContain('Nothing was measured.');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('JSON', () => {
  it('has every request where it is asked for', () => {
    expect(jsonOf(fixedRun()).steps[0]).not.toHaveProperty('requests_raw');
    const [step] = jsonOf(fixedRun(), true).steps;
    expect(step).toMatchObject({ requests: 40, requests_raw: expect.objectContaining({ length: 40 }) });
  });

  it('is read again', () => {
    const run = jsonOf(fixedRun());
    expect(readRun(JSON.stringify(run), 'a.json')).toEqual(run);
  });

  it.each([
    ['no JSON', 'a.json is not JSON'],
    ['{}', 'a.json is no result of llm-serve bench --json'],
    ['null', 'a.json is no result of llm-serve bench --json'],
    ['{"format":"llm-serve-bench","format_version":9,"steps":[]}', 'a.json has format version 9'],
  ])('that is %s is refused', (text, message) => {
    expect(() => readRun(text, 'a.json')).toThrow(message);
  });
});

describe('a comparison', () => {
  it('of two runs of the same server finds no difference beyond noise', () => {
    const text = compareRuns(jsonOf(fixedRun(1, 1)), jsonOf(fixedRun(1, 2)));
    expect(text).toContain('no difference beyond noise');
    expect(text).not.toMatch(/B is (higher|lower)/);
  });

  it('of a server that is 30 % slower finds it', () => {
    expect(compareRuns(jsonOf(fixedRun(1, 1)), jsonOf(fixedRun(1.3, 2)))).toMatch(
      /TPOT mean .* 1\.3\d {2}.*B is higher/,
    );
  });

  it('of runs of other loads compares nothing', () => {
    const run = jsonOf(fixedRun());
    const other = {
      ...run,
      steps: run.steps.map((step) => ({ ...step, load: { kind: 'open', rate: 2, burstiness: 1 } as const })),
    };
    expect(compareRuns(run, other)).toContain('no load in common: 2 users, 4 users in A, 2/s, 2/s in B');
  });

  it('warns of a load during which the client was too slow, and of requests that did not complete', () => {
    const run = jsonOf(fixedRun());
    const client = { cpu_share: 0.97, loop_lag_p99_ms: 1, problem: 'it used 97 % of a core' };
    const slow = { ...run, steps: run.steps.map((step) => ({ ...step, client })) };
    const text = compareRuns(run, slow);
    expect(text).toContain('- B, 2 users: the client was the bottleneck: it used 97 % of a core.');
    expect(text).toContain(
      '- A, 4 users: 4 of 40 requests did not complete; latencies are those of the others.',
    );
    expect(text).not.toContain('A, 2 users:');
  });

  it('of times that are 0 judges nothing', () => {
    const run = jsonOf(fixedRun());
    const zero = { value: 0, low: 0, high: 0 };
    const none = {
      count: 9,
      mean: 0,
      deviation: 0,
      min: 0,
      max: 0,
      p50: zero,
      p90: zero,
      p95: zero,
      p99: zero,
    };
    const still = { ...run, steps: run.steps.map((step) => ({ ...step, tpot_ms: none })) };
    expect(compareRuns(still, still)).toMatch(/^TPOT mean +0\.00 +0\.00 +– .*–$/m);
  });

  it('names what was different about the runs', () => {
    const run = jsonOf(fixedRun());
    expect(compareRuns(run, { ...run, model: 'large' })).toContain('model differs: small | large');
  });

  it('says nothing of percentiles that too few requests stand behind', () => {
    const few = { value: 5, low: null, high: null };
    expect(ratioOfPercentiles(few, { value: 10, low: 9, high: 11 })).toEqual({
      value: 2,
      low: undefined,
      high: undefined,
    });
  });

  it('the spread of a ratio of means holds 1 in about 95 of 100 pairs of the same server', () => {
    const held = Array.from({ length: 200 }, (_, pair) => {
      const [one, other] = [2 * pair, 2 * pair + 1].map(
        (seed) => jsonOf(fixedRun(1, seed)).steps[0]!.ttft_ms!,
      );
      const { low = 0, high = 0 } = ratioOfMeans(one!, other!);
      return low <= 1 && high >= 1;
    }).filter(Boolean).length;
    expect(held).toBeGreaterThan(178);
    expect(held).toBeLessThan(200);
  });
});
