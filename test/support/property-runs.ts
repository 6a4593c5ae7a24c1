/**
 * How often a property is tried: a quarter of what it names in `npm test`, with the same cases each time (fixed-cases.ts), and fifty
 * times as often in `npm run test:long`, with others each time. The search for the smallest counterexample ends before the test's own
 * time-out would hide what it has found.
 */
const LONG_FACTOR = 50;
const SHORT_FACTOR = 0.25;
const isLong = process.env.LLM_TEST_LONG === '1';

export function runs(usual: number) {
  return {
    numRuns: Math.ceil(usual * (isLong ? LONG_FACTOR : SHORT_FACTOR)),
    interruptAfterTimeLimit: isLong ? 1_100_000 : 150_000,
    markInterruptAsFailure: true,
  };
}
