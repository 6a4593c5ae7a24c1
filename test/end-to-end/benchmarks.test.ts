/**
 * Benchmarks call parts of the server by themselves, and no compiler looks at how. The short ones are tried here, all of them in the long
 * run.
 */
import { expect, test } from 'vitest';
import { benchmarkTrial } from '../support/benchmark-trial.ts';

const SHORT = {
  receipts: { operations: 500 },
  routing: { operations: 100 },
  'shared-limits': { decisions: 20 },
  usage: { operations: 500 },
  workers: { decisions: 50 },
};

test.for(Object.entries(SHORT))(
  'npm run bench -- %s measures and reports',
  async ([name, settings], context) => {
    expect(await benchmarkTrial(context, name, settings)).toContain(`npm run bench -- ${name}`);
  },
);
