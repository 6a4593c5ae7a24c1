/**
 * What `llm-serve bench` measures, beside clients that share no code with it, on a server that notes when it really wrote each token.
 * By the clock of this machine, so on one that does little else; that its times are exact is tested in `npm test`, by a clock of the
 * server's own.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../bench/truth/compare.mjs', import.meta.url));
const LOAD = ['--json', '4', '60', '3'];
const WITHIN = 0.03;

/** Client → figure, such as `ttft p50` → measured over true, the median of the rounds. */
type Ratios = Readonly<Record<string, Readonly<Record<string, { readonly ratio: number }>>>>;

test('is within 3 % of the truth, and of what other clients measure', { retry: 2 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...LOAD]);
  const { 'llm-serve bench': bench = {}, ...others } = JSON.parse(stdout) as Ratios;
  expect(Object.keys(bench)).toHaveLength(8);
  expect(Object.keys(others).length).toBeGreaterThan(0);
  // Every answer has the same plan for every client, so their figures compare as their ratios to it do.
  const off = Object.entries(bench).flatMap(([figure, { ratio }]) =>
    [
      { figure, beside: 'the truth', by: Math.abs(ratio - 1) },
      ...Object.entries(others).map(([client, { [figure]: theirs }]) => ({
        ...{ figure, beside: client },
        by: Math.abs(ratio / (theirs?.ratio ?? Number.NaN) - 1),
      })),
    ].filter(({ by }) => !(by <= WITHIN)),
  );
  expect(off).toEqual([]);
});
