/** From records to figures, objectives and the sentence at the end. */
import { describe, expect, it } from 'vitest';
import { measureStep } from '../../../src/bench/measures.ts';
import { objectivesText, parseObjectives } from '../../../src/bench/objectives.ts';
import type { Step } from '../../../src/bench/plan.ts';
import type { RequestRecord } from '../../../src/bench/record.ts';
import { verdict } from '../../../src/bench/verdict.ts';

const OBJECTIVES = { ttft: 200, tpot: 50 };

/** Sent at 0, first token after 100 ms, then 10 tokens in 360 ms. */
function record(changes: Partial<RequestRecord> = {}): RequestRecord {
  const startedAt = changes.startedAt ?? 0;
  return {
    ...{ index: 0, startedAt, sentAt: startedAt, firstTokenAt: startedAt + 100, endedAt: startedAt + 460 },
    ...{ outcome: 'completed', error: undefined, finishReason: 'length' },
    ...{
      asked: { promptTokens: 20, outputTokens: 10 },
      promptTokens: 21,
      outputTokens: 10,
      tokensFrom: 'usage',
    },
    ...{ beganWithReasoning: false, gapsMs: Float32Array.from({ length: 9 }, () => 40), server: undefined },
    ...changes,
  };
}
const users = (concurrency: number): Step => ({ kind: 'closed', concurrency });
const measure = (records: readonly RequestRecord[], step: Step = users(1)) =>
  measureStep(step, records, { objectives: OBJECTIVES });

describe('figures', () => {
  it('are those of the definitions', () => {
    const slow = record({ startedAt: 500, firstTokenAt: 900, endedAt: 2000 });
    const measures = measure([record(), slow]);
    expect(measures).toMatchObject({ requests: 2, completed: 2, good: 1, goodShare: 0.5, durationS: 2 });
    expect(measures).toMatchObject({
      goodputPerSecond: 0.5,
      completedPerSecond: 1,
      outputTokensPerSecond: 10,
    });
    expect(measures.misses).toEqual({ ttft: 1, tpot: 1 });
    expect(measures.ttft).toMatchObject({ min: 100, max: 400 });
    expect(measures.tpot).toMatchObject({ min: 40, max: expect.closeTo(1100 / 9, 9) });
    expect(measures.e2e).toMatchObject({ min: 460, max: 1500 });
    expect(measures.itl).toMatchObject({ count: 18, mean: 40 });
  });

  it('of an open loop count from when a request was due, and name the delay of the client', () => {
    const late = record({ startedAt: 1000, sentAt: 1030, firstTokenAt: 1130 });
    const measures = measure([record(), late], { kind: 'open', rate: 1, burstiness: 1 });
    expect(measures.ttft).toMatchObject({ max: 130 });
    expect(measures.clientDelay).toMatchObject({ min: 0, max: 30 });
    expect(measures.offeredPerSecond).toBe(1);
  });

  it('of requests that did not complete have no latency, but count against the good ones', () => {
    const rejected = record({ outcome: 'rejected', error: 'http_503', firstTokenAt: undefined, endedAt: 1 });
    const cut = record({ outcome: 'failed', error: 'cut', endedAt: 5000 });
    const measures = measure([record(), rejected, rejected, cut]);
    expect(measures).toMatchObject({ requests: 4, completed: 1, rejected: 2, failed: 1, goodShare: 0.25 });
    expect(measures.errors).toEqual({ http_503: 2, cut: 1 });
    expect(measures.e2e).toMatchObject({ count: 1, max: 460 });
  });

  it('leave out requests that the user broke off', () => {
    const cancelled = record({ outcome: 'cancelled', error: 'ABORTED', endedAt: 99_000 });
    expect(measure([record(), cancelled])).toMatchObject({
      requests: 1,
      cancelled: 1,
      goodShare: 1,
      errors: {},
    });
  });

  it('say where tokens were not counted by the server, and how many answers were short', () => {
    const uncounted = record({ promptTokens: undefined, outputTokens: 6, tokensFrom: 'events' });
    expect(measure([uncounted])).toMatchObject({
      promptTokens: { from: 'planned', mean: 20 },
      outputTokens: { from: 'events', mean: 6, askedMean: 10 },
      shortAnswers: 1,
    });
    expect(measure([record(), uncounted]).outputTokens.from).toBe('mixed');
  });

  it('of nothing are zero, and no number that is none', () => {
    expect(JSON.stringify(measure([]))).not.toMatch(/null|NaN/);
  });

  it('an answer of one token has no time per further token, and misses no target for it', () => {
    const measures = measure([record({ outputTokens: 1, gapsMs: new Float32Array() })]);
    expect(measures).toMatchObject({ tpot: undefined, good: 1 });
  });
});

describe('objectives', () => {
  it('are read in any order, with or without their unit', () => {
    expect(parseObjectives('e2e=5000ms, ttft=200')).toEqual({ e2e: 5000, ttft: 200 });
    expect(objectivesText({ ttft: 200, tpot: 50, e2e: 5000 })).toBe(
      'within 200 ms to the first token, 50 ms per further token and 5000 ms in all',
    );
  });

  it.each(['ttft', 'ttft=', 'ttft=-1', 'p99=3', 'ttft=abc'])('"%s" is refused', (text) => {
    expect(() => parseObjectives(text)).toThrow(`--slo is "${text}"`);
  });
});

describe('the sentence at the end', () => {
  const slowStart = (queueMs?: number) =>
    record({ firstTokenAt: 400, endedAt: 760, server: queueMs === undefined ? undefined : { queueMs } });
  const slowPace = record({ endedAt: 1100 });
  const rejected = record({ outcome: 'rejected', error: 'http_429', firstTokenAt: undefined });

  it.each([
    [
      'waiting for a slot',
      [slowStart(320)],
      'waiting for a slot (320 ms in the server’s queue of 400 ms to the first token at p50)',
    ],
    [
      'a first token of unknown reason',
      [slowStart()],
      'the time to the first token (400 ms at p50); the server gives no figure of how much of it was waiting',
    ],
    ['decoding', [slowPace], 'the speed of decoding (111 ms per token at p50)'],
    ['rejections', [record(), rejected], 'rejections (http_429)'],
  ])('names the load that was carried and what limits the next: %s', (_, records, limit) => {
    const steps = [measure([record()], users(4)), measure(records, users(8))];
    const sentence = verdict(steps, OBJECTIVES);
    expect(sentence).toMatch(
      /^4 users at once within 200 ms to the first token and 50 ms per further token \(100 % of the requests\)/,
    );
    expect(sentence).toContain(`limited by ${limit}.`);
  });

  it('says that no load was carried', () => {
    expect(verdict([measure([slowPace], users(1))], OBJECTIVES)).toMatch(
      /^Not even 1 user within 200 ms .*: 0 % of the requests; limited by the speed of decoding/,
    );
  });

  it('does not hide that a lighter load was not carried', () => {
    const steps = [measure([record(), slowPace], users(1)), measure([record()], users(2))];
    expect(verdict(steps, OBJECTIVES)).toBe(
      '2 users at once within 200 ms to the first token and 50 ms per further token (100 % of the requests, although only 50 % of the requests at 1 user); no heavier load was tried.',
    );
  });

  it('says that nothing completed, and why', () => {
    expect(verdict([measure([rejected], users(1))], OBJECTIVES)).toBe('No request completed: http_429.');
  });

  describe('of a load during which the client was too slow', () => {
    const busy = (step: Step, records: readonly RequestRecord[] = [record()]) =>
      measureStep(step, records, { objectives: OBJECTIVES, client: { cpuShare: 0.97, loopLagP99Ms: 1 } });
    const late = measureStep(users(8), [record()], {
      ...{ objectives: OBJECTIVES, client: { cpuShare: 0.2, loopLagP99Ms: 80 } },
    });

    it.each([
      ['although its figures look good', busy(users(8)), 'it used 97 % of a core'],
      ['although its figures look bad', busy(users(8), [slowStart(320)]), 'it used 97 % of a core'],
      ['that was late', late, 'it was late by 80 ms (p99 of its event loop)'],
    ])('says nothing, %s', (_, unclear, problem) => {
      expect(verdict([measure([record()], users(4)), unclear], OBJECTIVES)).toBe(
        `4 users at once within 200 ms to the first token and 50 ms per further token (100 % of the requests); of 8 users at once nothing can be said, since the client was too slow: ${problem}.`,
      );
    });

    it('goes by the loads around it', () => {
      const steps = [
        busy(users(1)),
        measure([record()], users(2)),
        busy(users(4)),
        measure([slowPace], users(8)),
      ];
      expect(verdict(steps, OBJECTIVES)).toMatch(
        /^2 users at once within .* \(100 % of the requests\); at 8 users at once 0 % of the requests, limited by the speed of decoding/,
      );
    });

    it('says nothing at all where it was every load', () => {
      expect(verdict([busy(users(2)), busy(users(1))], OBJECTIVES)).toBe(
        'Nothing can be said of the server: at every load the client was too slow (at 1 user it used 97 % of a core).',
      );
    });
  });

  it('says where throughput stopped growing although all targets were met', () => {
    const steps = [1, 2, 4, 8].map((count) => {
      const startedAt = count > 4 ? 400 : 0;
      const records = Array.from({ length: count }, (_, index) => {
        const sentAt = index < 4 ? 0 : startedAt;
        return record({ startedAt: sentAt, sentAt, firstTokenAt: sentAt + 100, endedAt: sentAt + 400 });
      });
      return measure(records, users(count));
    });
    expect(verdict(steps, OBJECTIVES)).toBe(
      '8 users at once within 200 ms to the first token and 50 ms per further token (100 % of the requests); no heavier load was tried. Throughput stopped growing at 4 users at once (10.0 answers per second).',
    );
  });
});
