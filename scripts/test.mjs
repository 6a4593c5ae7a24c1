// `npm test`: installs and builds what is missing, then runs every test. `npm test -- quick`: those without processes and models.
// `npm run test:long`: the longer proofs. Other arguments go to vitest: npm test -- scheduler
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepare } from './build.mjs';

await prepare();
const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const words = process.argv.slice(2);
const isLong = words.includes('--long');
const forVitest = words
  .filter((word) => word !== '--long')
  .map((word) => (word === 'quick' ? '--project=quick' : word));
const child = spawn(process.execPath, [vitest, 'run', ...forVitest], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...(isLong ? { LLM_TEST_LONG: '1' } : {}) },
});
child.on('exit', (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
