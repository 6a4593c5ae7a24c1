/** Which end-to-end tests run again against workers: all but those that are named, and each of those is there. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = new URL('../../../', import.meta.url).href;
const { NEVER_AGAIN, AGAIN_IN_THE_LONG_RUN, filesWithWorkers } = (await import(
  `${root}scripts/both-shapes.mjs`
)) as {
  readonly NEVER_AGAIN: Readonly<Record<string, string>>;
  readonly AGAIN_IN_THE_LONG_RUN: Readonly<Record<string, string>>;
  filesWithWorkers(options: { readonly isLong: boolean }): string[];
};
const files = readdirSync(fileURLToPath(new URL('test/end-to-end', root)))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => name.slice(0, -'.test.ts'.length));
const never = Object.keys(NEVER_AGAIN);
const inTheLongRun = Object.keys(AGAIN_IN_THE_LONG_RUN);
const pathOf = (name: string) => `test/end-to-end/${name}.test.ts`;

it('names files that are there, each once and with a reason', () => {
  const named = [...never, ...inTheLongRun];
  expect(named.filter((name) => !files.includes(name))).toEqual([]);
  expect(new Set(named).size).toBe(named.length);
  for (const reason of [...Object.values(NEVER_AGAIN), ...Object.values(AGAIN_IN_THE_LONG_RUN)])
    expect(reason).toMatch(/\w \w/);
});

it('a file that is not named runs again in both', () => {
  const usual = files.filter((name) => !never.includes(name) && !inTheLongRun.includes(name)).map(pathOf);
  expect(usual.length).toBeGreaterThan(20);
  expect(filesWithWorkers({ isLong: false }).sort()).toEqual(usual.sort());
  expect(filesWithWorkers({ isLong: true }).sort()).toEqual([...usual, ...inTheLongRun.map(pathOf)].sort());
});
