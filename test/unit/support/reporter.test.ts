/** A whole run of vitest over a few tests, as its reporter tells it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const VITEST = fileURLToPath(new URL('../../../node_modules/vitest/vitest.mjs', import.meta.url));
const REPORTER = fileURLToPath(new URL('../../support/reporter.ts', import.meta.url));

/** Its second test passes when it is tried again, against what `beforeAll` has started and with every clean-up done. */
const TESTS = `
  const done = [];
  let tries = 0;
  let server;
  beforeAll(() => { server = 'up'; });
  afterEach(() => void done.push('after'));
  test('steady', () => {});
  test('unsteady', () => {
    expect(server).toBe('up');
    onTestFinished(() => void done.push('finished'));
    tries += 1;
    expect(done).toEqual(['after', 'after', 'finished']);
  });
`;

function runWith(retry: number) {
  const folder = mkdtempSync(join(tmpdir(), 'reporter-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'a.test.mjs'), TESTS);
  writeFileSync(
    join(folder, 'vitest.config.ts'),
    `import { QuietReporter } from ${JSON.stringify(REPORTER)};
     export default { test: { globals: true, retry: ${retry}, reporters: [new QuietReporter()] } };`,
  );
  const { status, stdout } = spawnSync(process.execPath, [VITEST, 'run', '--root', folder], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout };
}

it('names a test that passed only when it was tried again, with the error of the first try', () => {
  const { status, stdout } = runWith(1);
  expect(status, stdout).toBe(0);
  expect(stdout).toContain('FLAKY: 1 passed only when tried again. Each is a defect to be mended.');
  expect(stdout).toMatch(
    /FLAKY a\.test\.mjs > unsteady\n +AssertionError: expected \[ 'after' \] to deeply equal/,
  );
});

it('leaves a test that has one try failed', () => {
  const { status, stdout } = runWith(0);
  expect(status).toBe(1);
  expect(stdout).not.toContain('FLAKY');
});
