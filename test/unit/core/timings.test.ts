import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { meetsObjectives } from '../../../src/core/objectives.ts';
import {
  type Attempt,
  type RequestTrace,
  timingsOf,
  timingsText,
  wireTimings,
} from '../../../src/core/request-trace.ts';
import { attemptOf } from '../../support/attempt.ts';
import { runs } from '../../support/property-runs.ts';

const span = fc.double({ min: 0, max: 5000, noNaN: true });
const tryOf = fc.record({ pause: span, queue: span, toFirst: span, rest: span, hasToken: fc.boolean() });
const lives = fc.record({
  parse: span,
  tries: fc.array(tryOf, { maxLength: 4 }),
  lostWait: fc.option(span, { nil: undefined }),
  writing: span,
  isRunning: fc.boolean(),
});

/** A request that lives like that, and when it ends. */
function traceOf({
  parse,
  tries,
  lostWait,
  writing,
  isRunning,
}: typeof lives extends fc.Arbitrary<infer Life> ? Life : never) {
  // A wait without a slot comes before the tries: a fallback model may have one.
  let now = 1000 + parse + (lostWait ?? 0);
  const attempts: Attempt[] = tries.map(({ pause, queue, toFirst, rest, hasToken }) => {
    const enqueuedAt = now + pause;
    const startedAt = enqueuedAt + queue;
    now = startedAt + toFirst + rest;
    const firstTokenAt = hasToken ? startedAt + toFirst : undefined;
    return attemptOf({ enqueuedAt, startedAt, firstTokenAt, endedAt: now });
  });
  const last = attempts.at(-1);
  if (isRunning && last !== undefined) attempts[attempts.length - 1] = { ...last, endedAt: undefined };
  const trace: RequestTrace = {
    requestId: 'r',
    receivedAt: 1000,
    ...(attempts.length > 0 && { attempts }),
    ...(lostWait !== undefined && { unservedWaitMs: lostWait }),
  };
  return { trace, end: now + writing };
}

describe('a receipt', () => {
  it('is a sum: queue, upstream and gateway are the total, first token and generation a part of upstream', () => {
    fc.assert(
      fc.property(lives, (life) => {
        const { trace, end } = traceOf(life);
        const { queueMs, upstreamMs, gatewayMs, totalMs, ttftMs, generateMs } = timingsOf(trace, end);
        expect(Math.abs(queueMs + upstreamMs + gatewayMs - totalMs)).toBeLessThan(0.03);
        expect(totalMs).toBeCloseTo(end - 1000, 1);
        expect((ttftMs ?? 0) + (generateMs ?? 0)).toBeLessThanOrEqual(upstreamMs + 0.03);
        expect(ttftMs === undefined).toBe(generateMs === undefined);
        const timings = timingsOf(trace, end);
        expect(JSON.parse(timingsText(timings))).toEqual(wireTimings(timings));
        for (const part of [queueMs, upstreamMs, gatewayMs]) expect(part).toBeGreaterThanOrEqual(0);
      }),
      runs(1000),
    );
  });

  it('adds up the waits and the work of all tries; the pauses between them are the gateway’s', () => {
    const trace: RequestTrace = {
      requestId: 'r',
      receivedAt: 0,
      attempts: [
        attemptOf({ enqueuedAt: 1, startedAt: 11, firstTokenAt: 20, endedAt: 31, outcome: 'reset' }),
        attemptOf({ enqueuedAt: 131, startedAt: 136, firstTokenAt: 166, endedAt: 236 }),
      ],
    };
    expect(timingsOf(trace, 240)).toEqual({
      queueMs: 15,
      upstreamMs: 120,
      ttftMs: 30,
      generateMs: 70,
      gatewayMs: 105,
      totalMs: 240,
    });
  });

  it('counts a wait that ended without a slot as queue', () => {
    const trace: RequestTrace = { requestId: 'r', receivedAt: 0, unservedWaitMs: 300 };
    expect(timingsOf(trace, 301)).toMatchObject({ queueMs: 300, upstreamMs: 0, gatewayMs: 1 });
  });

  it('of several choices is that of the one that ended last', () => {
    const short = attemptOf({ startedAt: 0, endedAt: 10 });
    const long = attemptOf({ startedAt: 5, endedAt: 90 });
    const trace: RequestTrace = {
      requestId: 'r',
      receivedAt: 0,
      attempts: [short],
      longestChoice: { attempts: [long] },
    };
    expect(timingsOf(trace, 90)).toMatchObject({ queueMs: 5, upstreamMs: 85 });
  });

  it('does not count the freeing of the slot after the answer', () => {
    const trace: RequestTrace = {
      requestId: 'r',
      receivedAt: 0,
      endedAt: 50,
      attempts: [attemptOf({ startedAt: 0, firstTokenAt: 10, endedAt: 70 })],
    };
    expect(timingsOf(trace, 80)).toMatchObject({ upstreamMs: 50, generateMs: 40, gatewayMs: 30 });
  });

  it('of an answer in one piece has no first token, also on the wire', () => {
    const trace: RequestTrace = { requestId: 'r', receivedAt: 0, attempts: [attemptOf({ endedAt: 8 })] };
    expect(wireTimings(timingsOf(trace, 10))).toEqual({
      queue_ms: 0,
      upstream_ms: 8,
      gateway_ms: 2,
      total_ms: 10,
    });
  });
});

describe('objectives', () => {
  const finished: RequestTrace = {
    requestId: 'r',
    receivedAt: 0,
    firstTokenAt: 100,
    endedAt: 1100,
    usage: { promptTokens: 3, completionTokens: 11, cachedTokens: 0 },
  };

  it.each([
    ['none', {}, true],
    ['a first token in time', { ttftMs: 100 }, true],
    ['a first token too late', { ttftMs: 99 }, false],
    ['tokens in time', { tpotMs: 100 }, true],
    ['tokens too slow', { tpotMs: 99 }, false],
    ['an end in time', { e2eMs: 1100 }, true],
    ['an end too late', { e2eMs: 1099 }, false],
    ['all but one', { ttftMs: 100, tpotMs: 100, e2eMs: 1099 }, false],
  ])('%s', (_, objectives, met) => {
    expect(meetsObjectives(finished, 2000, objectives)).toBe(met);
  });

  it('are missed by a request that did not finish, whatever they are', () => {
    const { usage: _, ...unfinished } = finished;
    expect(meetsObjectives(unfinished, 2000, {})).toBe(false);
    expect(meetsObjectives({ ...finished, errorCode: 'backend_error' }, 2000, {})).toBe(false);
    expect(meetsObjectives({ ...finished, cancelPhase: 'streaming' }, 2000, {})).toBe(false);
  });

  it('about the first token hold where none was seen, and those about later ones where there is one token', () => {
    const whole = { ...finished, unstreamed: true };
    expect(meetsObjectives(whole, 2000, { ttftMs: 1, tpotMs: 1 })).toBe(true);
    expect(meetsObjectives(whole, 2000, { ttftMs: 1, e2eMs: 1000 })).toBe(false);
    const short = { ...finished, usage: { promptTokens: 3, completionTokens: 1, cachedTokens: 0 } };
    expect(meetsObjectives(short, 2000, { tpotMs: 1 })).toBe(true);
  });
});
