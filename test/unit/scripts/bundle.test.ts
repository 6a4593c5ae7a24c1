/** The server as the build leaves it: dist/cli/main.js. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const code = readFileSync(main, 'utf8');
/** Loaded from node_modules: they look for files of their own. */
const OUTSIDE = /^(node:.+|fastify|@fastify\/.+)$/;
/** What the bundler shares between the file and those that are loaded on demand (the exporter of traces): 2 kB. */
const RUNTIME = './main-rolldown-runtime.js';

it('is one file: at the start it loads no other of ours, and of packages only those that are left out by name', () => {
  const imported = [...code.matchAll(/^import (?:[^'"]* from )?["']([^"']+)["'];?$/gm)].map(
    ([, name]) => name,
  );
  expect(imported.length).toBeGreaterThan(5);
  expect(imported.filter((name) => !OUTSIDE.test(name ?? '') && name !== RUNTIME)).toEqual([]);
});

it('keeps its functions’ names, and its source map names the sources', () => {
  expect(code).toContain('async function compose(');
  const { sources } = JSON.parse(readFileSync(`${main}.map`, 'utf8')) as { readonly sources: string[] };
  expect(sources).toEqual(expect.arrayContaining(['../../src/compose.ts', '../../src/serving/serving.ts']));
});

it('comes with the licences of the packages in it', () => {
  const licences = readFileSync(`${main}.licences.txt`, 'utf8');
  for (const name of ['commander', 'typebox', 'undici', 'yaml'])
    expect(licences).toMatch(
      new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\\n\\n[^]*?(permission|Permission)`, 'm'),
    );
});
