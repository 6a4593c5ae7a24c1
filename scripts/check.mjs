// `npm run check`: format and lint, types, architecture, and that generated docs are fresh. Says every failure, not only the first.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepare } from './build.mjs';

await prepare();
const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (...path) => join(root, 'node_modules', ...path);

const steps = [
  ['format and lint', bin('@biomejs', 'biome', 'bin', 'biome'), ['check', '.']],
  ['types', bin('typescript', 'bin', 'tsc'), ['-p', 'tsconfig.json']],
  ['types of the page', bin('typescript', 'bin', 'tsc'), ['-p', 'web/tsconfig.json']],
  ['types of the page’s tests', bin('typescript', 'bin', 'tsc'), ['-p', 'test/tsconfig.web.json']],
  ['architecture', 'scripts/architecture.mjs', []],
  ['docs are fresh', 'scripts/docs.mjs', ['--check']],
];

const failed = steps.filter(([name, script, args]) => {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });
  process.stdout.write(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}\n`);
  return status !== 0;
});
process.exitCode = failed.length === 0 ? 0 : 1;
