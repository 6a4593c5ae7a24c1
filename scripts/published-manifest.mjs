// Makes package.json the one that is published, between `prepack` and `postpack`; the original waits beside it meanwhile.
//   node scripts/published-manifest.mjs            before packing
//   node scripts/published-manifest.mjs --restore  after it
// What differs: nothing that only this repository needs, and the engine is an optional peer dependency. As an optional
// dependency npm would fetch its builds for every GPU (600 MB), as `overrides` count in the root project alone and a
// global install ignores --omit=optional: docs/decisions/0048-what-is-packed.md
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = join(root, 'package.json');
const original = join(root, 'package.json.original');

export function publishedManifest(given) {
  const { devDependencies, overrides, scripts, optionalDependencies, ...published } = given;
  const optional = Object.keys(optionalDependencies).map((name) => [name, { optional: true }]);
  return {
    ...published,
    peerDependencies: optionalDependencies,
    peerDependenciesMeta: Object.fromEntries(optional),
  };
}

function restore() {
  if (existsSync(original)) renameSync(original, manifest);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Also first of all: a run before this one may have been killed.
  restore();
  if (!process.argv.includes('--restore')) {
    // Moved, not copied: it keeps its date, by which the next build sees that nothing has changed.
    renameSync(manifest, original);
    const text = readFileSync(original, 'utf8');
    writeFileSync(manifest, `${JSON.stringify(publishedManifest(JSON.parse(text)), null, 2)}\n`);
  }
}
