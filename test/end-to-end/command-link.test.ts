/** `llm-serve` as the images have it: a link on the PATH to the built program, which makes keys in the folder that a variable names. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

test('a link runs the program, from any folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-link-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(PROGRAM, join(folder, 'llm-serve'));
  const run = (...args: readonly string[]) =>
    execFileSync('llm-serve', args, {
      cwd: '/',
      encoding: 'utf8',
      env: {
        PATH: `${folder}:${dirname(process.execPath)}:/usr/bin:/bin`,
        LLM_SERVE_DATA__DIRECTORY: join(folder, 'data'),
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  expect(run('keys', 'create', '--name', 'alice')).toMatch(/^sk-llm-[\w-]{43}\n$/);
  expect(run('keys', 'list')).toContain('alice');
  expect(existsSync(join(folder, 'data', 'llm-serve.sqlite'))).toBe(true);
});
