/** A worker that takes the place of a dead one serves with what is in force: not with what a reload refused or put off until a restart. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { ask, generate } from '../support/http-client.ts';
import { childrenOf } from '../support/process-table.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

const ADMIN = { authorization: 'Bearer admin-key-1' };

const fileOf = (maxTokens: number | string, more: string) =>
  [
    'models: [{ id: m, targets: [{ backend: scripted, model: m }] }]',
    `generation: { max_tokens: ${maxTokens} }`,
    'auth: { admin_keys: [admin-key-1] }',
    more,
  ].join('\n');

const STARTED = 'server: { workers: 2 }\nadmin: { port: 0 }';

async function start(text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-replaced-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'llm-serve.yaml');
  writeFileSync(path, text);
  const server = await startExecutable({
    flags: ['--config', path],
    environment: { LLM_SERVE_SERVER__WORKERS: '' },
    endsWith: onTestFinished,
  });
  const reload = async (to: string, fits: string) => {
    writeFileSync(path, to);
    server.signal('SIGHUP');
    return server.logged(({ msg }) => msg.startsWith(fits));
  };
  return { server, reload };
}

/** Both, one after the other, so that only such answer that have taken another one's place. */
async function replaceWorkers(server: Executable): Promise<void> {
  const pids = childrenOf(server.pid).flatMap(({ pid, command }) =>
    command.includes('worker.js') ? [pid] : [],
  );
  expect(pids).toHaveLength(2);
  const again = () => server.logs().filter(({ msg }) => /^worker \d serves again$/.test(msg)).length;
  for (const [index, pid] of pids.entries()) {
    process.kill(pid, 'SIGKILL');
    await expect.poll(again).toBe(index + 1);
  }
}

async function tokensOfEach(server: Executable): Promise<ReadonlySet<number>> {
  const prompt = scripted({ text: 'a b c d e f g h' });
  const answers = await Promise.all([1, 2, 3, 4].map(() => generate(server, { prompt })));
  return new Set(answers.map((answer) => answer.json().usage.completion_tokens));
}

test('a refused reload leaves nothing that keeps a dead worker from being replaced', async () => {
  const { server, reload } = await start(fileOf(2, STARTED));
  await reload(fileOf(4, STARTED), 'SIGHUP: configuration reloaded');
  await reload(fileOf('many', STARTED), 'SIGHUP: the configuration was not reloaded');
  await replaceWorkers(server);
  expect(await tokensOfEach(server)).toEqual(new Set([4]));
  const ready = await ask(`${server.url}/ready`);
  expect([ready.status, ready.json<{ workers: unknown }>().workers]).toMatchObject([
    200,
    { status: 'complete' },
  ]);
});

test('what a reload leaves as it is until a restart is as it was at workers that are started later, too', async () => {
  const { server, reload } = await start(fileOf(2, STARTED));
  const { msg } = await server.logged((line) => line.msg.startsWith('administration is served on'));
  const adminUrl = /http:\S+(?= alone)/.exec(msg)?.[0] ?? '';
  const wanted = 'server: { workers: 1 }\naccess: { store: "memory:" }\nlogging: { level: error }';
  const { needsRestart } = await reload(fileOf(4, wanted), 'SIGHUP: configuration reloaded');
  expect(needsRestart).toEqual(['server.workers', 'access.store', 'admin.port', 'logging.level']);
  const inForce = async () => {
    const { status, text } = await ask(`${adminUrl}/admin/configuration`, { headers: ADMIN });
    expect(status).toBe(200);
    return text;
  };
  // A worker is told a moment after it was logged.
  await expect.poll(inForce).toMatch(/"max_tokens": ?4/);
  const before = await inForce();
  await replaceWorkers(server);
  expect(await tokensOfEach(server)).toEqual(new Set([4]));
  expect(JSON.parse(await inForce())).toEqual(JSON.parse(before));
  // It would be served to everybody where administration has no address of its own.
  const { status } = await ask(`${server.url}/admin/configuration`, { headers: ADMIN });
  expect(status).toBe(404);
  const answer = await generate(server, { prompt: 'hi' });
  await server.requestLine(String(answer.headers['x-request-id']));
});

/** The server of a store with one key, in a folder of its own. */
async function withStore() {
  const parent = mkdtempSync(join(tmpdir(), 'llm-serve-replaced-'));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  const folder = join(parent, 'volume');
  const path = join(folder, 'keys.sqlite');
  const store = ['--access.store', `sqlite:${path}`];
  const run = async (...args: readonly string[]) => {
    const { stdout, exitCode } = await runExecutable([...args, ...store, '--json'], {
      endsWith: onTestFinished,
    });
    expect(exitCode).toBe(0);
    return JSON.parse(stdout) as { readonly key: string };
  };
  const { key } = await run('keys', 'create', '--name', 'alice');
  const server = await startExecutable({
    flags: [...scriptedFlags(), ...store],
    environment: { LLM_SERVE_SERVER__WORKERS: '2' },
    endsWith: onTestFinished,
  });
  const statusWith = async (secret: string) => {
    const headers = { authorization: `Bearer ${secret}` };
    return (await ask(`${server.url}/generate`, { headers, body: { prompt: 'hi' } })).status;
  };
  /** Each of many times, so that every worker is asked. */
  const statusesWith = (secret: string) => Promise.all([1, 2, 3, 4].map(() => statusWith(secret)));
  return { server, run, key, folder, path, statusWith, statusesWith };
}

test('while the store is locked, workers that take the place of dead ones serve with the keys that were known', async () => {
  const { server, run, key, path, statusWith, statusesWith } = await withStore();
  const other = new DatabaseSync(path);
  onTestFinished(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  await replaceWorkers(server);
  expect(await statusesWith(key)).toEqual([200, 200, 200, 200]);
  expect(await statusWith('sk-unknown')).toBe(401);
  other.exec('ROLLBACK');
  const made = await run('keys', 'create', '--name', 'bob');
  await expect.poll(() => statusesWith(made.key)).toEqual([200, 200, 200, 200]);
  await run('keys', 'revoke', 'alice');
  await expect.poll(() => statusWith(key)).toBe(401);
  expect((await server.stop()).exitCode).toBe(0);
});

test('while the file of the store is gone, workers that take the place of dead ones make none, and serve with the keys that were known', async () => {
  const { server, run, key, folder, path, statusWith, statusesWith } = await withStore();
  const away = `${folder}-away`;
  renameSync(folder, away);
  mkdirSync(folder);
  await replaceWorkers(server);
  const told = () => server.logs().filter(({ msg }) => msg.includes(`There is no file ${path}.`)).length;
  await expect.poll(told).toBe(2);
  expect(existsSync(path)).toBe(false);
  expect(await statusesWith(key)).toEqual([200, 200, 200, 200]);
  expect(await statusWith('sk-unknown')).toBe(401);
  rmSync(folder, { recursive: true });
  renameSync(away, folder);
  await run('keys', 'revoke', 'alice');
  await expect.poll(() => statusesWith(key)).toEqual([401, 401, 401, 401]);
  expect((await server.stop()).exitCode).toBe(0);
});

test('workers that take the place of dead ones have the keys of the store that they find, also where it is another one of the same revision', async () => {
  const { server, run, key, folder, statusesWith } = await withStore();
  const former = `${folder}-former`;
  renameSync(folder, former);
  const { key: found } = await run('keys', 'create', '--name', 'carol');
  await replaceWorkers(server);
  // Asked with the key that is valid until then: an address that comes with many wrong ones is turned away.
  await expect.poll(() => statusesWith(key)).not.toContain(200);
  await expect.poll(() => statusesWith(found)).toEqual([200, 200, 200, 200]);
  expect((await server.stop()).exitCode).toBe(0);
});
