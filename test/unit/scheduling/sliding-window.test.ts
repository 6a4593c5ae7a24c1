import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlidingWindow } from '../../../src/scheduling/sliding-window.ts';
import { runs } from '../../support/property-runs.ts';

const LIMIT_3_PER_100MS = { limit: 3, windowMs: 100, maxKeys: 1000 };

describe('the sliding window', () => {
  it('admits up to the limit and says what is left', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    expect(window.check('a', 0)).toEqual({ admitted: true, limit: 3, remaining: 2, retryInMs: 0 });
    window.check('a', 10);
    expect(window.check('a', 20)).toEqual({ admitted: true, limit: 3, remaining: 0, retryInMs: 80 });
    expect(window.check('a', 30)).toEqual({ admitted: false, limit: 3, remaining: 0, retryInMs: 70 });
  });

  it('admits again exactly when it said it would, and a refusal does not extend that', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (const at of [0, 10, 20]) window.check('a', at);
    for (const at of [30, 60, 99]) expect(window.check('a', at).admitted).toBe(false);
    expect(window.check('a', 100)).toMatchObject({ admitted: true, remaining: 0, retryInMs: 10 });
  });

  it('does not let twice the limit through at a boundary', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (const at of [97, 98, 99]) expect(window.check('a', at).admitted).toBe(true);
    for (const at of [100, 101, 150, 196]) expect(window.check('a', at).admitted).toBe(false);
  });

  it('counts each key by itself', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (const at of [0, 1, 2, 3]) window.check('a', at);
    expect(window.check('b', 4)).toMatchObject({ admitted: true, remaining: 2 });
  });

  it('sweeps idle keys as new ones come', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (let index = 0; index < 500; index += 1) window.check(`old${index}`, 0);
    for (let index = 0; index < 500; index += 1) window.check(`new${index}`, 200);
    expect(window.keys).toBe(500);
  });

  it('keeps a blocked key’s count when it is flooded with new keys, which then share one window', () => {
    const window = new SlidingWindow({ limit: 2, windowMs: 100, maxKeys: 10 });
    window.check('attacker', 0);
    window.check('attacker', 0);
    const admitted = Array.from({ length: 100 }, (_, index) => window.check(`flood${index}`, 1).admitted);
    expect(window.keys).toBe(10);
    expect(admitted.filter(Boolean)).toHaveLength(9 + 2);
    expect(window.check('attacker', 2).admitted).toBe(false);
  });

  it('survives a clock that goes backwards', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (const at of [50, 40, 30]) expect(window.check('a', at).admitted).toBe(true);
    expect(window.check('a', 0)).toMatchObject({ admitted: false, retryInMs: 100 });
  });

  it('never admits more than the limit in any window, and its predictions hold, whatever the arrivals', () => {
    const arrivals = fc.array(
      fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 0, max: 40 })),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 9 }), (steps, limit) => {
        const window = new SlidingWindow({ limit, windowMs: 100, maxKeys: 100 });
        const admissions = new Map<string, number[]>();
        let now = 0;
        for (const [key, delay] of steps) {
          now += delay;
          const recent = (admissions.get(key) ?? []).filter((at) => at > now - 100);
          const verdict = window.check(key, now);
          expect(verdict.admitted).toBe(recent.length < limit);
          if (verdict.admitted) recent.push(now);
          admissions.set(key, recent);
          expect(verdict.remaining).toBe(limit - recent.length);
          expect(verdict.retryInMs).toBe(verdict.remaining > 0 ? 0 : (recent[0] ?? 0) + 100 - now);
        }
      }),
      runs(200),
    );
  });
});
