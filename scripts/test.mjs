// `npm test`: installs and builds what is missing, then runs every test; `--long` runs the longer proofs instead.
// Other arguments go to vitest: npm test -- scheduler
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepare } from './build.mjs';

await prepare();
const root = fileURLToPath(new URL('..', import.meta.url));
const given = process.argv.slice(2);
const long = given.includes('--long');
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const child = spawn(process.execPath, [vitest, 'run', ...given.filter((argument) => argument !== '--long')], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...(long ? { LLM_TEST_LONG: '1' } : {}) },
});
child.on('exit', (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
