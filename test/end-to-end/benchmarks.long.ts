/** Every benchmark, as the short trial that `npm run bench -- NAME --quick` is. */
import { expect, test } from 'vitest';
import { benchmarkTrial } from '../support/benchmark-trial.ts';

const SIZES = new URL('../../bench/sizes.mjs', import.meta.url);
const { QUICK } = (await import(SIZES.href)) as { readonly QUICK: object };

test.for(Object.keys(QUICK))('npm run bench -- %s measures and reports', async (name, context) => {
  expect(await benchmarkTrial(context, name)).toContain(`npm run bench -- ${name}`);
});
