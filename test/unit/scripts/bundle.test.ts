/** The program as the build leaves it: dist/cli/main.js, and the files beside it that hold what only some commands need. */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const folder = fileURLToPath(new URL('../../../dist/cli', import.meta.url));
const textOf = (name: string) => readFileSync(join(folder, name), 'utf8');
const parts = readdirSync(folder).filter((name) => /^main-.+\.js$/.test(name));
/** A command that uses a running server loads no more than this before it knows which one it is. */
const FIRST_BYTES = 200_000;

function importsOf(name: string): string[] {
  const imports = textOf(name).matchAll(/^import (?:[^'"]* from )?["']([^"']+)["'];?$/gm);
  return [...imports].map(([, imported = '']) => imported);
}

/** With what it loads in any case, and what that loads. */
function loadedWith(name: string, known = new Set<string>()): ReadonlySet<string> {
  if (known.has(name)) return known;
  known.add(name);
  for (const imported of importsOf(name))
    if (imported.startsWith('./')) loadedWith(imported.slice('./'.length), known);
  return known;
}

it('loads its own parts, and no other file of ours or of a package', () => {
  const imported = ['main.js', ...parts].flatMap(importsOf);
  expect(imported.length).toBeGreaterThan(20);
  const isPart = (name: string) => parts.includes(name.slice('./'.length));
  expect(imported.filter((name) => !isBuiltin(name) && !isPart(name))).toEqual([]);
});

it('begins small: the server is in parts that other commands do not load', () => {
  const first = [...loadedWith('main.js')];
  expect(first.reduce((sum, name) => sum + textOf(name).length, 0)).toBeLessThan(FIRST_BYTES);
  for (const command of ['run', 'chat', 'status']) {
    const texts = [...loadedWith(`main-${command}.js`)].map(textOf);
    expect(texts.filter((text) => text.includes('async function compose('))).toEqual([]);
  }
});

it('keeps its functions’ names, and its source maps name the sources', () => {
  const [part, ...others] = parts.filter((name) => textOf(name).includes('async function compose('));
  expect(others).toEqual([]);
  const { sources } = JSON.parse(textOf(`${part}.map`)) as { readonly sources: string[] };
  expect(sources).toEqual(expect.arrayContaining(['../../src/compose.ts', '../../src/serving/serving.ts']));
});

it('comes with the licences of the packages in it', () => {
  const licences = textOf('main.js.licences.txt');
  for (const name of ['commander', 'typebox', 'undici', 'yaml'])
    expect(licences).toMatch(
      new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\\n\\n[^]*?(permission|Permission)`, 'm'),
    );
});
