/** A first key that is made while a server starts counts as one that is made later. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runExecutable, startExecutable } from '../support/executable.ts';
import { startSilentServer } from '../support/silent-server.ts';

test.each([1, 2])('takes a first key that is made while it starts, with %i workers', async (workers) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-first-key-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const data = ['--data.directory', folder];
  const models = [{ id: 'm', targets: [{ backend: 'scripted', model: 'm' }] }];
  // A store of slots that says nothing: the start goes on when it is given up, seconds later.
  const store = await startSilentServer(onTestFinished);
  const starting = startExecutable({
    flags: [
      ...['--models', JSON.stringify(models), ...data, '--server.workers', String(workers)],
      ...['--leases.store', `redis://127.0.0.1:${store.port}`],
    ],
    endsWith: onTestFinished,
  });
  await store.connected;
  const made = await runExecutable(['keys', 'create', '--name', 'alice', ...data], {
    endsWith: onTestFinished,
  });
  expect(made.exitCode, made.stderr).toBe(0);
  const server = await starting;
  await server.logged(({ msg }) => msg.startsWith('access.store holds its first key'));
  await server.logged(({ msg }) => /^Rate limit: 60 .* as access\.store has keys\.$/.test(msg));
  expect(server.logs().filter(({ msg }) => msg.startsWith('access.store can’t be read'))).toEqual([]);
});
