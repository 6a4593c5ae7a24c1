/** A benchmark run as a short trial, which writes no results. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestContext } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../scripts/bench.mjs', import.meta.url));

/** What it prints. Skips the test where the benchmark says that this machine lacks something. */
export async function benchmarkTrial(
  context: TestContext,
  name: string,
  settings: Readonly<Record<string, number>> = {},
): Promise<string> {
  const words = Object.entries(settings).flatMap(([setting, value]) => ['--set', `${setting}=${value}`]);
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, name, '--quick', ...words]);
  const skipped = /^\S+: skipped, (.*)$/m.exec(stdout);
  if (skipped !== null) context.skip(skipped[1] ?? '');
  return stdout;
}
