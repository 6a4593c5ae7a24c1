import { describe, expect, it } from 'vitest';
import type { RecordedRequest, RecordedSettings } from '../../../src/core/record-file.ts';
import { replayError } from '../../../src/simulation/outcomes.ts';
import { RecordError, readRecord } from '../../../src/simulation/read-record.ts';
import { Replayer } from '../../../src/simulation/replay.ts';

const SETTINGS: RecordedSettings = {
  mode: 'eager',
  order: 'fair',
  max_batch_size: 16,
  window_ms: 5,
  max_queue: 512,
  max_queue_per_client: null,
  max_queue_bytes: 1e9,
  max_batch_tokens: null,
  max_tokens_in_flight: null,
  aging_ms: 10_000,
  max_overtakes: 4,
  routing: 'load',
  queue_timeout_ms: 60_000,
  objectives: { ttft_ms: null, tpot_ms: null, e2e_ms: null },
  targets: [{ name: 't', model: 'm', slots: 2, weight: 1, role: 'primary' }],
};

const EPOCH = 1_700_000_000_000;
const FIRST_MS = 100;

/** First in, first out on `slots` slots: what a server whose times are exact writes down. */
function record({
  count,
  gapMs,
  slots,
  tokenMs = () => 20,
  tokens = (index) => 11 + 10 * (index % 3),
}: {
  readonly count: number;
  readonly gapMs: number;
  readonly slots: number;
  readonly tokenMs?: (index: number) => number;
  readonly tokens?: (index: number) => number;
}): RecordedRequest[] {
  const freeAt = new Array<number>(slots).fill(0);
  return Array.from({ length: count }, (_, index) => {
    const at = index * gapMs;
    const slot = freeAt.indexOf(Math.min(...freeAt));
    const started = Math.max(at, freeAt[slot] ?? 0);
    const first = started + FIRST_MS;
    const ended = first + (tokens(index) - 1) * tokenMs(index);
    freeAt[slot] = ended;
    return request({
      at,
      started: started - at,
      first: first - at,
      ended: ended - at,
      tokens: tokens(index),
    });
  });
}

function request({
  at,
  started,
  first,
  ended,
  tokens,
}: Readonly<Record<'at' | 'started' | 'first' | 'ended' | 'tokens', number>>): RecordedRequest {
  return {
    run: 'a',
    at_ms: EPOCH + at,
    route: '/stream',
    status: 200,
    client: 'c',
    model: 'm',
    priority: 'normal',
    queued: {
      at: 0,
      prompt_tokens: 10,
      max_tokens: tokens,
      max_tokens_is_default: false,
      bytes: 40,
      deadline: 300_000,
    },
    prompt_tokens: 10,
    cached_tokens: 0,
    completion_tokens: tokens,
    ended,
    error_code: null,
    finish_reason: 'length',
    cancel_phase: null,
    timings: null,
    attempts: [
      {
        target: 't',
        model: 'm',
        kind: null,
        batch_size: 1,
        enqueued: 0,
        started,
        first_token: first,
        ended,
        outcome: 'completed',
      },
    ],
  };
}

describe('a replay with the recorded settings', () => {
  it('gives the recorded times, where targets take as long as ever', () => {
    const replayer = new Replayer(SETTINGS, record({ count: 300, gapMs: 250, slots: 2 }));
    const { figures } = replayer.replay();
    expect(figures.finished).toBe(300);
    expect(replayError(replayer.recorded, figures).part).toBeLessThan(0.01);
  });

  it('also where each answer has a pace of its own', () => {
    const requests = record({
      count: 300,
      gapMs: 330,
      slots: 2,
      tokenMs: (index) => 10 + ((index * 7) % 23),
    });
    const replayer = new Replayer(SETTINGS, requests);
    expect(replayError(replayer.recorded, replayer.replay().figures).part).toBeLessThan(0.02);
  });
});

describe('other settings', () => {
  const requests = record({ count: 400, gapMs: 200, slots: 2 });
  const replayer = new Replayer(SETTINGS, requests);

  it('twice the slots end a queue that twice the slots are enough for, as a second target does', () => {
    const before = replayer.replay().figures;
    expect(before.queueMs?.p50).toBeGreaterThan(5000);
    for (const changes of [{ slots: 4 }, { targets: 2 }]) {
      const { figures } = replayer.replay(changes);
      expect(figures.queueMs?.p90, JSON.stringify(changes)).toBeLessThan(100);
      expect(figures.slots).toBe(4);
      // 20 tokens on average, and the first of them after FIRST_MS.
      expect(figures.e2eMs?.p50).toBeCloseTo(FIRST_MS + 20 * 20, -1);
    }
  });

  it('a short queue rejects what a long one would serve late', () => {
    const { figures } = replayer.replay({ maxQueue: 3 });
    expect(figures.rejected.queue_full).toBeGreaterThan(50);
    expect(figures.finished + (figures.rejected.queue_full ?? 0)).toBe(400);
    expect(figures.queueMs?.p99).toBeLessThan(1500);
  });

  it('half the load is served at once', () => {
    expect(replayer.replay({ load: 0.5 }).figures.queueMs?.p90).toBeLessThan(300);
  });

  it('a queue timeout rejects with queue_timeout', () => {
    expect(replayer.replay({ queueTimeoutMs: 1000 }).figures.rejected.queue_timeout).toBeGreaterThan(50);
  });
});

it('what a target costs for each further request is learnt, and known beyond the record', () => {
  // One alone takes 10 ms a token; with k of them each takes 10 × k.
  const bursts = [1, 2, 3, 4].flatMap((size, burst) =>
    Array.from({ length: size }, () =>
      request({
        at: burst * 60_000,
        started: 0,
        first: FIRST_MS,
        ended: FIRST_MS + 100 * 10 * size,
        tokens: 101,
      }),
    ),
  );
  const settings = {
    ...SETTINGS,
    targets: [{ name: 't', model: 'm', slots: 8, weight: 1, role: 'primary' as const }],
  };
  const replayer = new Replayer(settings, bursts);
  const service = replayer.services.get('t');
  expect(service?.knowsGrowth).toBe(true);
  expect(service?.tokenMs).toBeCloseTo(10, 3);
  expect(service?.tokenOtherMs).toBeCloseTo(10, 3);
  expect(replayError(replayer.recorded, replayer.replay().figures).part).toBeLessThan(0.01);
  // All ten at once: 100 ms a token.
  const together = replayer.replay({ load: 1_000_000 });
  expect(together.figures.e2eMs?.p99).toBeGreaterThan(8 * 1000);
});

describe('reading a record', () => {
  const begins = (run: string) => ({ llm_serve_record: 2, run, version: '1', started_at_ms: EPOCH });
  const has = (run: string, settings: RecordedSettings = SETTINGS) => ({ run, settings });
  const lines = (...values: readonly object[]) => values.map((value) => JSON.stringify(value));
  const requests = record({ count: 4, gapMs: 100, slots: 2 });
  const of = (run: string, ...which: readonly RecordedRequest[]) => which.map((each) => ({ ...each, run }));

  it('takes the run with the most requests, and the settings that most of them had', () => {
    const other = { ...SETTINGS, max_queue: 7 };
    const read = readRecord(
      lines(
        begins('first'),
        has('first'),
        ...of('first', ...requests.slice(0, 1)),
        begins('second'),
        has('second', other),
        ...of('second', ...requests.slice(0, 1)),
        has('second'),
        ...of('second', ...requests.slice(1)),
      ),
    );
    expect(read).toMatchObject({
      runs: 2,
      underOtherSettings: 1,
      unreadable: 0,
      settings: { max_queue: 512 },
    });
    expect(read.requests).toHaveLength(4);
  });

  it('keeps two runs apart whose lines are mixed, as those of a restart that overlaps', () => {
    const few = { ...SETTINGS, max_queue: 7 };
    const [one, two, three, four] = requests;
    if (!one || !two || !three || !four) throw new Error('four requests were recorded');
    const read = readRecord(
      lines(
        begins('old'),
        has('old'),
        ...of('old', one, two),
        begins('new'),
        has('new', few),
        ...of('old', three),
        ...of('new', four),
      ),
    );
    expect(read).toMatchObject({
      runs: 2,
      unreadable: 0,
      underOtherSettings: 0,
      settings: { max_queue: 512 },
    });
    expect(read.requests.map(({ at_ms: at }) => at)).toEqual([one, two, three].map(({ at_ms: at }) => at));
  });

  it('leaves out half a line of a process that was killed, and what names no run of the file', () => {
    const read = readRecord([
      ...lines(begins('a'), has('a'), ...requests),
      '{"at_ms":12,"rou',
      '',
      ...lines(...of('lost', ...requests.slice(0, 2))),
    ]);
    expect([read.requests.length, read.unreadable]).toEqual([4, 3]);
  });

  it.each([
    [['{"hello":1}'], 'it is no record'],
    [[], 'it has no requests'],
    [lines(begins('a'), has('a')), 'it has no requests'],
    [
      lines({ llm_serve_record: 1, version: '1', started_at_ms: EPOCH }),
      'it is a record of version 1; this llm-serve reads version 2',
    ],
  ])('refuses %j: %s', (given, message) => {
    expect(() => readRecord(given)).toThrow(RecordError);
    expect(() => readRecord(given)).toThrow(message);
  });
});
