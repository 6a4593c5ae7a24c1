/**
 * How often a property is tried: enough for every change in `npm test`, many more in `npm run test:long`. The search for
 * the smallest counterexample ends before the test's own time-out would hide what it has found.
 */
const LONG_FACTOR = 50;
const isLong = process.env.LLM_TEST_LONG === '1';

export function runs(usual: number) {
  return {
    numRuns: isLong ? usual * LONG_FACTOR : usual,
    interruptAfterTimeLimit: isLong ? 1_100_000 : 150_000,
    markInterruptAsFailure: true,
  };
}
