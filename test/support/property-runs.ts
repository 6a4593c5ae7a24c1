/**
 * How often a property is tried: a quarter of what it names in `npm test`, with the same cases each time (fixed-cases.ts), and fifty
 * times as often in `npm run test:long`, with others each time. There it ends after half a minute with what it has tried by then, so
 * that the whole run ends on any machine; in `npm test` the cases are few, and one that takes minutes is a fault. A search for the
 * smallest counterexample ends at the same time, before the test's own time-out would hide what was found.
 */
const LONG_FACTOR = 50;
const SHORT_FACTOR = 0.25;
const LONG_TIME_MS = 30_000;
const isLong = process.env.LLM_TEST_LONG === '1';

export function runs(usual: number) {
  return {
    numRuns: Math.ceil(usual * (isLong ? LONG_FACTOR : SHORT_FACTOR)),
    interruptAfterTimeLimit: isLong ? LONG_TIME_MS : 150_000,
    markInterruptAsFailure: !isLong,
  };
}
