/** The package.json that is published. `npm run check:package` installs the whole package. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

type Manifest = Readonly<Record<string, unknown>>;

const root = fileURLToPath(new URL('../../../', import.meta.url));
const { publishedManifest } = (await import(`${root}scripts/published-manifest.mjs`)) as {
  readonly publishedManifest: (given: Manifest) => Manifest;
};
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as Manifest;
const published = publishedManifest(manifest);

it('names the engine as an optional peer, so that npm downloads none of its builds unasked', () => {
  expect(published).not.toHaveProperty('optionalDependencies');
  expect(published.peerDependencies).toEqual(manifest.optionalDependencies);
  expect(published.peerDependenciesMeta).toEqual({ 'node-llama-cpp': { optional: true } });
});

it('has what a user needs and nothing that only this repository does', () => {
  for (const key of ['name', 'version', 'license', 'type', 'engines', 'bin', 'files', 'dependencies'])
    expect(published[key]).toEqual(manifest[key]);
  for (const key of ['devDependencies', 'overrides', 'scripts']) expect(published).not.toHaveProperty(key);
});
