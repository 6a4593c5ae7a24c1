import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAILURES, type FailureCause, meaningOf } from '../../../src/core/failure.ts';
import { decideRetry, type FailedTry } from '../../../src/scheduling/retry-policy.ts';

const HEALTHY = { healthy: true, inService: true };
const FAILING = { healthy: false, inService: true };

/** The first of three tries has failed, and nothing else is there. */
function failed(changes: Partial<FailedTry> = {}): FailedTry {
  return {
    cause: 'server_error',
    tries: 1,
    maxTries: 3,
    rejections: 0,
    silences: 0,
    other: undefined,
    mayReturn: true,
    hasFallbackModel: false,
    timeLeftMs: 60_000,
    retryAfterMs: undefined,
    hasBudget: true,
    random: 0.5,
    ...changes,
  };
}

const causes = Object.keys(FAILURES) as FailureCause[];
const cases = causes.filter((cause) => meaningOf(cause).retry !== 'never');

describe('a try that failed', () => {
  it('by the request’s own fault is final, whatever else could answer', () => {
    expect(decideRetry(failed({ cause: undefined, other: HEALTHY, hasFallbackModel: true })).type).toBe(
      'fail',
    );
  });

  it('because its targets lead back here is final', () => {
    expect(decideRetry(failed({ cause: 'loop', other: HEALTHY, hasFallbackModel: true })).type).toBe('fail');
  });

  it.each(cases)('with %s is followed by one at another target, at once and uncharged', (cause) => {
    expect(decideRetry(failed({ cause, other: HEALTHY }))).toEqual({ type: 'elsewhere', isCharged: false });
  });

  it('is followed by one at the same target, after a pause', () => {
    expect(decideRetry(failed())).toEqual({ type: 'here', afterMs: 50, isCharged: true });
  });

  it.each(cases)('with %s goes back only where a target may get it again', (cause) => {
    expect(decideRetry(failed({ cause, mayReturn: false })).type).toBe('fail');
    expect(decideRetry(failed({ cause, mayReturn: true })).type).toBe('here');
  });

  it.each(cases)('with %s moves on to another model where no other target is left', (cause) => {
    expect(decideRetry(failed({ cause, hasFallbackModel: true })).type).toBe('other-model');
  });

  it('goes to an ejected target, charged, unless another model can answer', () => {
    const other = { healthy: false, inService: false };
    expect(decideRetry(failed({ other }))).toEqual({ type: 'elsewhere', isCharged: true });
    expect(decideRetry(failed({ other, hasFallbackModel: true })).type).toBe('other-model');
    expect(decideRetry(failed({ other, hasBudget: false })).type).toBe('fail');
  });

  it('is the last one when all have been used up, whatever model is left', () => {
    expect(decideRetry(failed({ tries: 3, other: HEALTHY })).type).toBe('fail');
    expect(decideRetry(failed({ tries: 3, other: HEALTHY, hasFallbackModel: true })).type).toBe('fail');
    expect(decideRetry(failed({ maxTries: 1, hasFallbackModel: true })).type).toBe('fail');
    expect(decideRetry(failed({ maxTries: 1, other: HEALTHY })).type).toBe('fail');
  });

  it('leaves the last one to another model', () => {
    expect(decideRetry(failed({ tries: 1, other: HEALTHY, hasFallbackModel: true })).type).toBe('elsewhere');
    expect(decideRetry(failed({ tries: 2, other: HEALTHY, hasFallbackModel: true })).type).toBe(
      'other-model',
    );
  });

  it('that the queue then had no target for is not asked again and again there, but of another model', () => {
    const rejected = { tries: 1, rejections: 2 };
    expect(decideRetry(failed(rejected)).type).toBe('fail');
    expect(decideRetry(failed({ ...rejected, hasFallbackModel: true })).type).toBe('other-model');
  });

  it.each(['first_token_timeout', 'stalled'] as const)('by a second %s is final', (cause) => {
    expect(decideRetry(failed({ cause, silences: 1, other: HEALTHY })).type).toBe('elsewhere');
    expect(decideRetry(failed({ cause, silences: 2, other: HEALTHY, tries: 2 })).type).toBe('fail');
  });
});

describe('the pause before a try at the same target', () => {
  it('is a random part of a bound that doubles, up to two seconds', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 8].map((tries) => {
      const decision = decideRetry(failed({ tries, maxTries: 10, random: 1 - 1e-9 }));
      return decision.type === 'here' ? Math.round(decision.afterMs) : decision.type;
    });
    expect(longest).toEqual([100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    expect(decideRetry(failed({ random: 0 }))).toMatchObject({ afterMs: 0 });
  });

  it('is at least as long as the server asks for', () => {
    expect(decideRetry(failed({ cause: 'rate_limited', retryAfterMs: 7000 }))).toMatchObject({
      type: 'here',
      afterMs: 7000,
    });
  });

  it('is not begun where the time limit ends before it does', () => {
    const busy = { cause: 'rate_limited', retryAfterMs: 7000 } as const;
    expect(decideRetry(failed({ ...busy, timeLeftMs: 7001 })).type).toBe('here');
    expect(decideRetry(failed({ ...busy, timeLeftMs: 7000 })).type).toBe('fail');
    expect(decideRetry(failed({ timeLeftMs: 0, other: HEALTHY })).type).toBe('fail');
  });
});

describe('without budget', () => {
  const poor = (changes: Partial<FailedTry>) => decideRetry(failed({ hasBudget: false, ...changes }));

  it('a request goes to a healthy target, and to none that fails or has failed it', () => {
    expect(poor({ other: HEALTHY })).toEqual({ type: 'elsewhere', isCharged: false });
    expect(poor({ other: FAILING })).toEqual({ type: 'fail', lacksBudget: true });
    expect(poor({})).toEqual({ type: 'fail', lacksBudget: true });
  });

  it('a request may still go to another model', () => {
    expect(poor({ other: FAILING, hasFallbackModel: true }).type).toBe('other-model');
  });

  it('what would fail anyway is not counted as lacking it', () => {
    expect(poor({ tries: 3 })).toEqual({ type: 'fail', lacksBudget: false });
    expect(poor({ cause: 'misconfigured', mayReturn: false })).toEqual({ type: 'fail', lacksBudget: false });
  });
});

it('retries while all targets fail are charged', () => {
  expect(decideRetry(failed({ other: FAILING }))).toEqual({ type: 'elsewhere', isCharged: true });
});

it('whatever happens: no more tries than allowed, no pause beyond the time left, no charge without budget', () => {
  const anything = fc.record<FailedTry>({
    cause: fc.constantFrom(undefined, ...causes),
    tries: fc.integer({ min: 1, max: 12 }),
    maxTries: fc.integer({ min: 1, max: 10 }),
    rejections: fc.integer({ min: 0, max: 3 }),
    silences: fc.integer({ min: 0, max: 3 }),
    other: fc.constantFrom(undefined, HEALTHY, FAILING),
    mayReturn: fc.boolean(),
    hasFallbackModel: fc.boolean(),
    timeLeftMs: fc.integer({ min: -10, max: 5000 }),
    retryAfterMs: fc.option(fc.integer({ min: 1000, max: 10_000 }), { nil: undefined }),
    hasBudget: fc.boolean(),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  });
  fc.assert(
    fc.property(anything, (situation) => {
      const decision = decideRetry(situation);
      if (decision.type === 'fail') return;
      expect(situation.cause).toBeDefined();
      expect(situation.timeLeftMs).toBeGreaterThan(0);
      expect(situation.tries).toBeLessThan(situation.maxTries);
      if (decision.type === 'other-model') {
        expect(situation.hasFallbackModel).toBe(true);
        return;
      }
      expect(situation.tries + situation.rejections).toBeLessThan(situation.maxTries);
      if (decision.isCharged) expect(situation.hasBudget).toBe(true);
      if (decision.type === 'here') expect(decision.afterMs).toBeLessThan(situation.timeLeftMs);
      else expect(situation.other).toBeDefined();
    }),
  );
});
