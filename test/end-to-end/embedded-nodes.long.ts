/** The server under every Node that is supported; by its name it runs alone, as it starts the real engine. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../scripts/check-nodes.mjs', import.meta.url));

test('serves under each supported Node; one that cannot be fetched is named as skipped', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8' });
  process.stdout.write(stdout);
  expect(status, stdout + stderr).toBe(0);
});
