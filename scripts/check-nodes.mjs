// `npm run check:nodes`: starts the built server under each supported Node and tries what people use of it.
// `-- 24 26`: those lines alone. `-- --path 24`: prints where that executable is, fetched if need be.
// A Node that cannot be fetched is reported as skipped; with LLM_EXPECT_NODES=1 (CI) that is a failure.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { prepare } from './build.mjs';
import { smoke } from './node-smoke.mjs';
import { LINES, nodeOf, Unreachable } from './nodes.mjs';

const MARKS = { ok: 'ok', failed: 'FAILED', skipped: 'skipped' };

async function checkLine(line) {
  let executable;
  try {
    executable = await nodeOf(line);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const state = process.env.LLM_EXPECT_NODES === '1' && error.fixable ? 'failed' : 'skipped';
    return { name: line, results: [{ name: 'fetch', state, reason: error.message }] };
  }
  const name = execFileSync(executable, ['--version'], { encoding: 'utf8' }).trim();
  return { name, results: await smoke(executable) };
}

function print({ name, results }) {
  const cells = results.map((result) => `${result.name} ${MARKS[result.state]}`);
  process.stdout.write(`${name.padEnd(9)} ${cells.join(' · ')}\n`);
  for (const { name: what, state, reason } of results)
    if (state !== 'ok') process.stdout.write(`          ${what} ${MARKS[state]}: ${reason}\n`);
}

async function main(words) {
  if (words[0] === '--path') {
    process.stdout.write(`${await nodeOf(words[1] ?? '')}\n`);
    return;
  }
  await prepare();
  for (const line of words.length > 0 ? words : LINES) {
    const checked = await checkLine(line);
    print(checked);
    if (checked.results.some(({ state }) => state === 'failed')) process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
