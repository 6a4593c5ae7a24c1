/** `admin.port` of the real executable: what the log and the commands say, and that what was done there is on disk. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runExecutable, startExecutable } from '../support/executable.ts';
import { ask } from '../support/http-client.ts';
import { scriptedFlags } from '../support/scripted-server.ts';

const ADMIN_KEY = 'admin-key-0123';

test('a key made at admin.port opens the server; the audit log outlives it; both addresses close', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-admin-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = ['--access.store', `sqlite:${join(folder, 'store.db')}`];
  const adminKeys = ['--auth.admin-keys', JSON.stringify([ADMIN_KEY])];
  const server = await startExecutable({
    flags: [...scriptedFlags(), ...store, ...adminKeys, '--admin.port', '0'],
    endsWith: onTestFinished,
  });
  const { msg } = await server.logged((line) => line.msg.startsWith('administration is served on '));
  const [adminUrl = ''] = /http:\S+/.exec(msg) ?? [];
  const admin = { headers: { authorization: `Bearer ${ADMIN_KEY}` } };
  expect((await ask(`${server.url}/admin/keys`, admin)).status).toBe(404);
  const made = await ask(`${adminUrl}/admin/keys`, { ...admin, body: { name: 'alice', team: 'red' } });
  expect(made.status).toBe(201);
  const { key, id } = made.json<{ key: string; id: string }>();

  const asked = () => ask(`${server.url}/generate`, { body: { prompt: 'one two' } });
  await expect.poll(async () => (await asked()).status).toBe(401);
  const answer = await ask(`${server.url}/generate`, {
    headers: { authorization: `Bearer ${key}` },
    body: { prompt: 'one two' },
  });
  expect(answer.status).toBe(200);

  const { port } = new URL(adminUrl);
  const run = (...args: string[]) => runExecutable(args, { endsWith: onTestFinished });
  const reloaded = await run('reload', '--admin.port', port, ...adminKeys);
  expect(reloaded.stdout, reloaded.stderr).toContain(`127.0.0.1:${port}:`);
  expect((await server.stop()).exitCode).toBe(0);
  await expect(ask(`${adminUrl}/health`)).rejects.toThrow();

  const listed = await run('audit', ...store);
  expect(listed.exitCode, listed.stderr).toBe(0);
  expect(listed.stdout).toMatch(
    /Z admin_keys\[0\] at 127\.0\.0\.1: key\.create key_\w+ .*"name":"alice".*\n.*configuration\.reload/,
  );
  expect(listed.stdout).not.toContain(key);
  const json = await run('audit', ...store, '--json', '--limit', '2');
  expect(JSON.parse(json.stdout)).toMatchObject([
    { action: 'configuration.reload' },
    { action: 'key.create', subject: id },
  ]);
  const refused = await run('audit', ...store, '--limit', 'all');
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('--limit is "all"');
});

test('a port that is taken is named by its own flag', async () => {
  const server = await startExecutable({
    flags: scriptedFlags(),
    endsWith: onTestFinished,
  });
  const { exitCode, stderr } = await runExecutable(
    ['--port', '0', ...scriptedFlags(), '--access.store', 'memory:', '--admin.port', String(server.port)],
    { endsWith: onTestFinished },
  );
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`Port ${server.port} on 127.0.0.1 is in use by another program.`);
  expect(stderr).toContain(`--admin.port ${server.port + 1}`);
});

test.each([
  [['--admin.metrics'], 'admin.metrics is true, but there is no admin.port'],
  [['--admin.metrics', '--metrics.open'], 'metrics.open is true, but admin.metrics'],
  [['--admin.port', '8123', '--port', '8123'], 'admin.port is 8123, which is server.port'],
  [['--admin.port', '9000', '--admin.host', '0.0.0.0'], 'there is no admin key'],
])('check-config refuses %j', async (flags, message) => {
  const { exitCode, stderr } = await runExecutable(
    ['check-config', ...scriptedFlags(), '--access.store', 'memory:', ...flags],
    { endsWith: onTestFinished },
  );
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});
