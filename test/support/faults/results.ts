/** Keeps what long runs measure, for the tables of docs/reliability.md (`npm run docs` writes them). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../../bench/results/', import.meta.url));

/** Does nothing unless `LLM_TEST_KEEP_RESULTS` is 1. */
export function keepResults(name: string, results: object): void {
  if (process.env.LLM_TEST_KEEP_RESULTS !== '1') return;
  mkdirSync(FOLDER, { recursive: true });
  const { version } = process;
  writeFileSync(`${FOLDER}${name}.json`, `${JSON.stringify({ node: version, ...results }, null, 1)}\n`);
}
