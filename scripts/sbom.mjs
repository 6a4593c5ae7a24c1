// `npm run --silent sbom`: what is shipped, as a CycloneDX bill of materials on standard output. Made from the lock file alone, so that
// it needs no network and names no registry and no folder. `-- --omit=optional`: without the embedded engine.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** Shipped in files that the build copies into dist/ or makes there (the page), and so no dependency of what is installed. */
const COPIED = ['swagger-ui-dist', 'preact', 'marked', 'lowlight', 'highlight.js', 'uplot'];

const npm = process.env.npm_execpath;
const [command, ...prefix] = npm ? [process.execPath, npm] : ['npm'];
const flags = ['--package-lock-only', '--omit=dev', '--sbom-format=cyclonedx', '--sbom-type=application'];
const text = execFileSync(command, [...prefix, 'sbom', ...flags, ...process.argv.slice(2)], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
  stdio: ['ignore', 'pipe', 'inherit'],
});

const bill = JSON.parse(text);
// npm calls it by its folder.
bill.metadata.component.name = name;
for (const component of [bill.metadata.component, ...bill.components]) {
  // Where a lock file says from which registry a package came.
  component.externalReferences = component.externalReferences?.filter(({ type }) => type !== 'distribution');
}
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
bill.components.push(...COPIED.map(componentOf));
process.stdout.write(`${JSON.stringify(bill, null, 2)}\n`);

function componentOf(copied) {
  const { version, license, integrity } = packages[`node_modules/${copied}`];
  return {
    'bom-ref': `${copied}@${version}`,
    type: 'library',
    name: copied,
    version,
    scope: 'required',
    purl: `pkg:npm/${copied}@${version}`,
    hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.split('-')[1], 'base64').toString('hex') }],
    licenses: [{ license: { id: license } }],
  };
}
