/** The counts in docs/reliability.md are of a run; the faults that were counted are those that there are. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FAULT_NAMES, faultOf } from '../../support/faults/faults.ts';

interface Counted {
  readonly fault: string;
  readonly title: string;
  readonly answered: number;
  readonly failed: number;
  readonly broken: number;
  readonly changed: number;
  readonly requests: number;
}

const { rows } = JSON.parse(
  readFileSync(new URL('../../../bench/results/faults.json', import.meta.url), 'utf8'),
) as { readonly rows: readonly Counted[] };

it('every fault was counted, under its title', () => {
  expect(rows.map(({ fault, title }) => [fault, title])).toEqual(
    FAULT_NAMES.map((name) => [name, faultOf(name).title]),
  );
});

it.each(rows)('$fault: every request ended with one answer or one error, none with another text', (row) => {
  expect(row.answered + row.failed).toBe(row.requests);
  expect([row.broken, row.changed]).toEqual([0, 0]);
});
