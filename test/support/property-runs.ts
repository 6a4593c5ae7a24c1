/** How often a property is tried: enough for every change in `npm test`, many more in `npm run test:long`. */
const LONG_FACTOR = 50;

export function runs(usual: number): { readonly numRuns: number } {
  return { numRuns: process.env.LLM_TEST_LONG === '1' ? usual * LONG_FACTOR : usual };
}
