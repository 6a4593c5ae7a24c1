// `npm test`: installs and builds what is missing, then runs every test. `npm test -- quick`: those without processes and models.
// `npm run test:long`: the longer proofs. Other arguments go to vitest: npm test -- scheduler
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesWithWorkers } from './both-shapes.mjs';
import { prepare } from './build.mjs';

await prepare();
const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const words = process.argv.slice(2);
const isLong = words.includes('--long');
const forVitest = words
  .filter((word) => word !== '--long')
  .map((word) => (word === 'quick' ? '--project=quick' : word));
const run = (words, variables) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [vitest, 'run', ...words], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, ...variables },
    });
    child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });

process.exitCode = await run(forVitest, isLong ? { LLM_TEST_LONG: '1' } : {});
// The same again, against workers; after a failure too, so that one run tells everything.
if (forVitest.length === 0)
  process.exitCode = (await run(filesWithWorkers({ isLong }), { LLM_TEST_WORKERS: '2' })) || process.exitCode;
