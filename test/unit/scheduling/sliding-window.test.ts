import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Admission, SlidingWindow } from '../../../src/scheduling/sliding-window.ts';
import { runs } from '../../support/property-runs.ts';

const LIMIT_3_PER_100MS = { limit: 3, windowMs: 100, maxKeys: 1000 };

describe('the sliding window', () => {
  it('admits up to the limit and says what is left', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    expect(window.check('a', 0)).toMatchObject({ limit: 3, remaining: 2, retryInMs: 0 });
    window.check('a', 10);
    expect(window.check('a', 20)).toMatchObject({ limit: 3, remaining: 0, retryInMs: 80 });
    expect(window.check('a', 30)).toEqual({ admission: undefined, limit: 3, remaining: 0, retryInMs: 70 });
  });

  it('admits again exactly when it said it would, and a refusal does not extend that', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (const at of [0, 10, 20]) window.check('a', at);
    for (const at of [30, 60, 99]) expect(admits(window, 'a', at)).toBe(false);
    expect(window.check('a', 100)).toMatchObject({
      admission: expect.anything(),
      remaining: 0,
      retryInMs: 10,
    });
  });

  it('takes other bounds at once and forgets nothing: a lowered limit waits for as many to leave as are above it', () => {
    const window = new SlidingWindow({ limit: 4, windowMs: 100, maxKeys: 1000 });
    for (const at of [0, 10, 20, 30]) window.check('a', at);
    window.setBounds({ limit: 2, windowMs: 100 });
    expect(window.check('a', 40)).toEqual({ admission: undefined, limit: 2, remaining: 0, retryInMs: 80 });
    expect(admits(window, 'a', 119)).toBe(false);
    expect(admits(window, 'a', 120)).toBe(true);
    window.setBounds({ limit: 5, windowMs: 50 });
    expect(window.peek('a', 125)).toEqual({ limit: 5, remaining: 4, retryInMs: 0 });
  });

  it('does not let twice the limit through at a boundary', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (const at of [97, 98, 99]) expect(admits(window, 'a', at)).toBe(true);
    for (const at of [100, 101, 150, 196]) expect(admits(window, 'a', at)).toBe(false);
  });

  it('never asks to wait longer than its window, whatever the fractions of the clock', () => {
    for (const at of [62_891.53747, 103_077.0401, 524_287.9123, 700_000.1, 999_999.7]) {
      const window = new SlidingWindow({ limit: 1, windowMs: 60_000, maxKeys: 10 });
      expect(window.check('a', at).retryInMs).toBe(60_000);
    }
  });

  it('counts each key by itself', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (const at of [0, 1, 2, 3]) window.check('a', at);
    expect(window.check('b', 4)).toMatchObject({ admission: expect.anything(), remaining: 2 });
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
    const admitted = Array.from({ length: 100 }, (_, index) => admits(window, `flood${index}`, 1));
    expect(window.keys).toBe(10);
    expect(admitted.filter(Boolean)).toHaveLength(9 + 2);
    expect(admits(window, 'attacker', 2)).toBe(false);
  });

  it('survives a clock that goes backwards', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    for (const at of [50, 40, 30]) expect(admits(window, 'a', at)).toBe(true);
    expect(window.check('a', 0)).toMatchObject({ admission: undefined, retryInMs: 100 });
  });

  it('gives back what turned out not to count, as if it had never come', () => {
    const window = new SlidingWindow(LIMIT_3_PER_100MS);
    window.check('a', 0);
    const { admission } = window.check('a', 10);
    window.check('a', 20);
    if (admission === undefined) throw new Error('the second request was refused');
    window.giveBack(admission, 30);
    expect(window.peek('a', 30)).toEqual({ limit: 3, remaining: 1, retryInMs: 0 });
    expect(admits(window, 'a', 40)).toBe(true);
    expect(window.peek('a', 40)).toEqual({ limit: 3, remaining: 0, retryInMs: 60 });
  });

  it('remembers no key whose every request was given back', () => {
    const window = new SlidingWindow({ limit: 2, windowMs: 100, maxKeys: 10 });
    for (let index = 0; index < 1000; index += 1) {
      const { admission } = window.check(`key${index}`, 0);
      if (admission !== undefined) window.giveBack(admission, 0);
    }
    expect(window.keys).toBe(0);
  });

  it('gives back to the window that counted: the shared one of keys beyond the bound', () => {
    const window = new SlidingWindow({ limit: 2, windowMs: 100, maxKeys: 1 });
    const first = window.check('first', 0).admission;
    const second = window.check('second', 1).admission;
    if (first === undefined || second === undefined) throw new Error('a request was refused');
    window.giveBack(first, 2);
    // There is room for a window of its own now.
    window.check('second', 3);
    window.giveBack(second, 4);
    expect(window.peek('second', 4).remaining).toBe(1);
    expect(window.peek('third', 4).remaining).toBe(2);
  });

  it('never counts more than the limit in any window, and its predictions hold, whatever comes and is given back', () => {
    const steps = fc.array(
      fc.record({
        key: fc.constantFrom('a', 'b', 'c', 'd'),
        delay: fc.integer({ min: 0, max: 40 }),
        // Which of the admissions that are not given back yet is given back after this request, if any.
        givesBack: fc.option(fc.nat(20), { nil: undefined }),
      }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 9 }), (all, limit) => {
        const window = new SlidingWindow({ limit, windowMs: 100, maxKeys: 100 });
        let counted: Admission[] = [];
        let now = 0;
        const recentOf = (key: string) => counted.filter((each) => each.key === key && each.at > now - 100);
        for (const { key, delay, givesBack } of all) {
          now += delay;
          const { admission, ...state } = window.check(key, now);
          expect(admission !== undefined).toBe(recentOf(key).length < limit);
          if (admission !== undefined) counted.push(admission);
          const recent = recentOf(key);
          const remaining = limit - recent.length;
          const retryInMs = remaining > 0 ? 0 : (recent[0]?.at ?? 0) + 100 - now;
          expect(state).toEqual({ limit, remaining, retryInMs });
          const back = givesBack === undefined ? undefined : counted[givesBack];
          if (back === undefined) continue;
          counted = counted.filter((each) => each !== back);
          window.giveBack(back, now);
          expect(window.peek(back.key, now).remaining).toBe(limit - recentOf(back.key).length);
        }
      }),
      runs(200),
    );
  });
});

function admits(window: SlidingWindow, key: string, now: number): boolean {
  return window.check(key, now).admission !== undefined;
}
