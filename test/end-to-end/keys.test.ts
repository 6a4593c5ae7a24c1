/** Keys of the store: made at the command line while the server runs, what each may use, and the door that stays shut. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { DatabaseSync } from '@photostructure/sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { KeyAdministration } from '../../src/access/key-administration.ts';
import type { KeyView } from '../../src/access/key-view.ts';
import { LIMIT_NAMES } from '../../src/core/limit-names.ts';
import { openStore } from '../../src/stores/open-store.ts';
import { whenEachAnswers } from '../support/each-worker.ts';
import { type Ended, EXECUTABLE, runExecutable, startExecutable } from '../support/executable.ts';
import { ask } from '../support/http-client.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, type RunningServer, startServer } from '../support/server.ts';

const BODY = { prompt: 'hi', max_tokens: 1 };
const withKey = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

type MadeKey = KeyView & { readonly key: string };

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-keys-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder of data, and the commands on its keys. */
function commandsIn(folder: string) {
  const flags = ['--data.directory', folder];
  const run = (args: readonly string[], input?: string): Promise<Ended> =>
    runExecutable(['keys', ...args, ...flags], {
      endsWith: onTestFinished,
      ...(input !== undefined && { input }),
    });
  const json = async <Value>(...args: readonly string[]): Promise<Value> => {
    const { exitCode, stdout, stderr } = await run([...args, '--json']);
    expect(exitCode, stderr).toBe(0);
    return JSON.parse(stdout) as Value;
  };
  return { flags, run, json };
}

/** What its output is written to takes nothing. */
async function onFullDisk(args: readonly string[]) {
  const full = openSync('/dev/full', 'w');
  try {
    const child = spawn(process.execPath, [EXECUTABLE, ...args], { stdio: ['ignore', full, 'pipe'] });
    const stderr = textOf(child.stderr as Readable);
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return { exitCode, stderr: await stderr };
  } finally {
    closeSync(full);
  }
}

/** A running server looks twice a second. */
const whenKey = (server: RunningServer, key: string | undefined, status: number) =>
  whenEachAnswers(server, '/v1/models', status, key === undefined ? {} : withKey(key));

describe('a server that runs', () => {
  test('says that its first key has turned the rate limit on', async () => {
    const { flags, run } = commandsIn(dataFolder());
    const models = [{ id: 'm', targets: [{ backend: 'scripted', model: 'm' }] }];
    const server = await startExecutable({
      flags: ['--models', JSON.stringify(models), ...flags],
      endsWith: onTestFinished,
    });
    await server.logged(({ msg }) => msg.startsWith('Rate limit: off, as the server listens on loopback'));
    expect((await run(['create', '--name', 'alice'])).exitCode).toBe(0);
    await server.logged(({ msg }) => /^Rate limit: 60 .* as access\.store has keys\.$/.test(msg));
  });

  test.skipIf(!existsSync('/dev/full'))(
    'a secret that can’t be printed is named by its id, with how to end it',
    async () => {
      const { flags, json } = commandsIn(dataFolder());
      const create = await onFullDisk(['keys', 'create', '--name', 'alice', ...flags]);
      const [alice] = await json<readonly KeyView[]>('list');
      expect(create.exitCode).toBe(1);
      expect(create.stderr).toContain(`Revoke it: llm-serve keys revoke ${alice?.id}`);
      expect(create.stderr).not.toContain('only time');
      const list = await onFullDisk(['keys', 'list', '--json', ...flags]);
      expect(list.exitCode).toBe(1);
      expect(list.stderr).toMatch(/^llm-serve: The output is incomplete, as it can’t be written: .*\n$/);
    },
  );

  test('says which models of a key the configuration does not have', async () => {
    const { flags, run } = commandsIn(dataFolder());
    const create = (configFile: string, name: string) =>
      runExecutable(['keys', 'create', '--name', name, '--models', 'small,nosuch', ...flags], {
        configFile,
        endsWith: onTestFinished,
      });
    const models = 'models: [{ id: small, targets: [{ backend: scripted, model: m }] }]\n';
    const made = await create(models, 'alice');
    expect(made.exitCode).toBe(0);
    expect(made.stderr).toContain('the configuration here has no model "nosuch". It has small.');
    const unchecked = await run(['create', '--name', 'bob', '--models', 'nosuch']);
    expect(unchecked.stderr).toContain('was not checked');
    expect((await run(['create', '--name', 'carol'])).stderr).not.toContain('checked');
  });

  test('goes on, and starts, beside a key that can’t be read: that alone is refused until it is revoked', async () => {
    const folder = dataFolder();
    const { flags, run, json } = commandsIn(folder);
    const [alice, broken, bob] = [
      await json<MadeKey>('create', '--name', 'alice'),
      await json<MadeKey>('create', '--name', 'broken'),
      await json<MadeKey>('create', '--name', 'bob'),
    ];
    const refused = await run(['rotate', 'broken', '--overlap', '99999999w']);
    expect([refused.exitCode, refused.stdout]).toEqual([2, '']);
    expect(refused.stderr).toContain('must be from 0 to 31536000 (365 days)');
    const server = await startExecutable({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
    await whenKey(server, broken.key, 200);

    const database = new DatabaseSync(join(folder, 'llm-serve.sqlite'));
    database.exec(`UPDATE llm_serve_keys SET expires_at = 60481795241377600 WHERE id = '${broken.id}'`);
    database.close();
    await whenKey(server, broken.key, 401);
    await whenKey(server, bob.key, 200);
    await json('revoke', 'alice');
    await whenKey(server, alice.key, 401);
    await server.stop();

    const again = await startExecutable({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
    await whenKey(again, bob.key, 200);
    await whenKey(again, broken.key, 401);
    expect((await run(['list'])).stdout).toContain('refused: expires_at can’t be read');
    const check = () => runExecutable(['data', 'check', ...flags], { endsWith: onTestFinished });
    expect(await check()).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining(
        `The key "broken" (${broken.id}) can’t be read: expires_at. It is refused`,
      ),
    });
    expect(await json('revoke', broken.id)).not.toHaveProperty('damage');
    expect(await check()).toMatchObject({ exitCode: 0 });
  });

  test('takes keys that are made, rotated and revoked at the command line, and stays shut without one', async () => {
    const folder = dataFolder();
    const { flags, json, run } = commandsIn(folder);
    const server = await startExecutable({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
    const generate = (key?: string) =>
      ask(`${server.url}/generate`, { body: BODY, ...(key !== undefined && withKey(key)) });
    expect((await generate()).status, 'without any key, this machine may call').toBe(200);

    const alice = await json<MadeKey>(
      ...['create', '--name', 'alice', '--team', 'red', '--requests-per-minute', '30'],
      ...['--tokens-per-day', '100000'],
    );
    expect(alice).toMatchObject({
      name: 'alice',
      team: 'red',
      limits: { requests_per_minute: 30, tokens_per_day: 100_000 },
    });
    expect(alice.key).toMatch(/^sk-llm-[\w-]{43}$/);
    await whenKey(server, undefined, 401);
    expect((await generate(alice.key)).status).toBe(200);
    await server.logged(
      ({ msg }) => msg === 'access.store holds its first key: from now on, every request needs a key',
    );

    const rotated = await json<MadeKey>('rotate', 'alice', '--overlap', '1h');
    expect(rotated).toMatchObject({ id: alice.id, name: 'alice' });
    expect(rotated.overlap_until).not.toBeNull();
    await whenKey(server, rotated.key, 200);
    expect((await generate(alice.key)).status, 'during the overlap').toBe(200);

    const again = await json<MadeKey>('rotate', alice.id);
    await whenKey(server, rotated.key, 401);
    expect((await generate(rotated.key)).json()).toMatchObject({
      error: { code: 'revoked_api_key', message: expect.stringContaining('replaced by a newer one') },
    });
    expect((await generate(again.key)).status).toBe(200);

    expect((await run(['revoke', 'alice'])).exitCode).toBe(0);
    await whenKey(server, again.key, 401);
    expect((await generate(again.key)).json()).toMatchObject({
      error: { code: 'revoked_api_key', message: expect.stringContaining('was revoked') },
    });
    expect((await generate()).json(), 'only a revoked key is left').toMatchObject({
      error: { code: 'missing_api_key' },
    });
    const { stdout, stderr } = await server.stop();
    for (const { key } of [alice, rotated, again]) {
      expect(stdout + stderr).not.toContain(key.slice(12));
      for (const file of ['llm-serve.sqlite', 'llm-serve.sqlite-wal'])
        expect(bytesOf(join(folder, file))).not.toContain(key.slice(12));
    }

    const next = await startExecutable({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
    expect((await ask(`${next.url}/generate`, { body: BODY })).status, 'after a restart').toBe(401);
    expect((await ask(`${next.url}/health`)).status).toBe(200);
    await next.stop();
  });
});

function bytesOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

describe('llm-serve keys', () => {
  test('the key alone goes to standard output, the rest beside it', async () => {
    const { run } = commandsIn(dataFolder());
    const { exitCode, stdout, stderr } = await run(['create', '--name', 'alice']);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toMatch(/^sk-llm-[\w-]{43}\n$/);
    expect(stderr).toContain('This is the only time that the key is shown');
    expect(stderr).toContain('It is the first key');
    expect(stderr).not.toContain(stdout.trim());
  });

  test('lists, shows, changes and imports', async () => {
    const { run, json } = commandsIn(dataFolder());
    await json('create', '--name', 'alice', '--team', 'red');
    const imported = await run(
      ['import', '--team', 'blue'],
      '{"name":"bob","key":"an-older-key-1"}\nan-older-key-2\n',
    );
    expect(imported.exitCode, imported.stderr).toBe(0);
    expect(imported.stdout + imported.stderr).not.toContain('an-older-key');

    const changed = await json<KeyView>('change', 'bob', '--requests-per-minute', '5', '--team', 'none');
    expect(changed).toMatchObject({ team: null, limits: { requests_per_minute: 5 } });
    expect((await json<KeyView[]>('list')).map(({ name, team }) => [name, team])).toEqual([
      ['alice', 'red'],
      ['bob', null],
      ['imported-1', 'blue'],
    ]);
    const shown = await run(['show', 'bob']);
    expect(shown.stdout).toContain('limits           requests_per_minute 5');
    expect((await run(['list'])).stdout).toMatch(/^NAME +ID +KEY +TEAM +LIMITS +STATE\nalice /);
  });

  test('takes every option of a key, whatever settings of the configuration have the same name', async () => {
    const { run, json } = commandsIn(dataFolder());
    const options = [
      ...['--team', 'red', '--label', 'cost=17', '--label', 'floor=3', '--models', 'small,large'],
      ...['--highest-priority', 'normal', '--expires', '2099-01-31', '--may-admin'],
      ...LIMIT_NAMES.flatMap((name) => [`--${name.replaceAll('_', '-')}`, '7']),
    ];
    const set = {
      team: 'red',
      labels: { cost: '17', floor: '3' },
      models: ['small', 'large'],
      highest_priority: 'normal',
      expires_at: '2099-01-31T00:00:00.000Z',
      may_admin: true,
      limits: Object.fromEntries(LIMIT_NAMES.map((name) => [name, 7])),
    };
    expect(await json('create', '--name', 'alice', ...options)).toMatchObject({ name: 'alice', ...set });
    await json('create', '--name', 'bob');
    expect(await json('change', 'bob', ...options)).toMatchObject({ name: 'bob', ...set });
    const imported = await run(['import', '--json', ...options], 'carol an-older-key-1\n');
    expect(imported.exitCode, imported.stderr).toBe(0);
    expect(JSON.parse(imported.stdout)).toMatchObject([{ name: 'carol', ...set }]);
    expect(await json('change', 'bob', '--models', 'all')).toMatchObject({ models: null });
  });

  test('writes down what a key may do, whoever makes it an administrator', async () => {
    const folder = dataFolder();
    const { flags, run, json } = commandsIn(folder);
    const { id } = await json<KeyView>('create', '--name', 'alice', '--may-admin', '--team', 'red');
    await json('change', 'alice', '--tokens-per-day', '5', '--may-admin', 'false');
    const imported = await run(['import', '--may-admin'], 'bob an-older-key-1\n');
    expect(imported.exitCode, imported.stderr).toBe(0);
    const { stdout, stderr } = await runExecutable(['audit', '--json', ...flags], {
      endsWith: onTestFinished,
    });
    expect(JSON.parse(stdout), stderr).toMatchObject([
      {
        action: 'key.import',
        actor: expect.stringMatching(/^command line: \S/),
        address: hostname(),
        details: { name: 'bob', may_admin: true },
      },
      {
        action: 'key.change',
        subject: id,
        details: { name: 'alice', changed: { limits: { tokens_per_day: 5 }, may_admin: false } },
      },
      { action: 'key.create', subject: id, details: { name: 'alice', may_admin: true, team: 'red' } },
    ]);
  });

  test.each([
    ['a name that is taken', ['create', '--name', 'alice'], 1, 'There is a key named "alice" already.'],
    ['a key that is not there', ['revoke', 'carol'], 1, 'There is no key "carol".'],
    ['a wrong limit', ['create', '--name', 'b', '--tokens-per-day', '0'], 2, 'limits.tokens_per_day is 0'],
    ['an unknown command', ['revok', 'alice'], 2, 'Did you mean llm-serve keys revoke?'],
    [
      'a store that ends with the command',
      ['list', '--access.store', 'memory:'],
      2,
      'access.store is "memory:"',
    ],
  ])('refuses %s', async (_, args, code, words) => {
    const { run, json } = commandsIn(dataFolder());
    await json('create', '--name', 'alice');
    const { exitCode, stderr } = await run(args);
    expect(stderr).toContain(words);
    expect(exitCode).toBe(code);
  });
});

test('an administrator’s key that may no longer administer opens /admin to nobody, also after a restart', async () => {
  const { flags, json } = commandsIn(dataFolder());
  const boss = await json<MadeKey>('create', '--name', 'boss', '--may-admin');
  const start = () => startExecutable({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
  const server = await start();
  const path = '/admin/keys';
  expect((await ask(`${server.url}${path}`, withKey(boss.key))).status).toBe(200);
  await json('change', 'boss', '--may-admin', 'false');
  await whenEachAnswers(server, path, 403, withKey(boss.key));
  expect((await ask(`${server.url}${path}`)).status).toBe(401);
  await server.stop();
  const next = await start();
  expect((await ask(`${next.url}${path}`)).json()).toMatchObject({
    error: {
      code: 'missing_api_key',
      message: expect.stringContaining('one made with llm-serve keys create --may-admin'),
    },
  });
  await next.stop();
});

describe('beyond loopback', () => {
  const flags = [...scriptedFlags(), '--host', '0.0.0.0'];

  test('keys of the store open the door that would otherwise not be opened at all', async () => {
    const { flags: folder, json } = commandsIn(dataFolder());
    const refused = await runExecutable([...flags, ...folder], { endsWith: onTestFinished });
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain('Make one with llm-serve keys create --name NAME');

    await json('create', '--name', 'bob');
    const server = await startExecutable({ flags: [...flags, ...folder], endsWith: onTestFinished });
    expect((await ask(`http://127.0.0.1:${server.port}/generate`, { body: BODY })).status).toBe(401);
    await server.logged(({ msg }) => msg.includes('no key of access.store may administer'));
    await server.stop();
  });
});

/** A server of two models, of which the second answers for the first, and the keys that its store has. */
async function serverWithKeys(
  keys: readonly Readonly<Record<string, unknown> & { name: string }>[],
  more: readonly string[] = [],
): Promise<{ readonly server: ComposedServer; readonly keyOf: (name: string) => string }> {
  const path = join(dataFolder(), 'keys.sqlite');
  const store = await openStore(`sqlite:${path}`);
  const administration = new KeyAdministration({ store: store.keys, now: () => Date.now() });
  const made = new Map<string, string>();
  for (const fields of keys) made.set(fields.name, (await administration.create(fields)).key);
  await store.close();
  const models = [
    {
      id: 'first',
      aliases: ['gpt-first'],
      fallback_models: ['second'],
      targets: [{ backend: 'scripted', model: 'm', fail: 'error' }],
    },
    { id: 'second', targets: [{ backend: 'scripted', model: 'm' }] },
    { id: 'vectors', targets: [{ backend: 'scripted', model: 'm' }] },
  ];
  const server = await startServer({
    flags: ['--models', JSON.stringify(models), '--access.store', `sqlite:${path}`, ...more],
    endsWith: onTestFinished,
  });
  return { server, keyOf: (name) => made.get(name) ?? '' };
}

describe('a key that may use some models', () => {
  const keys = [
    { name: 'narrow', models: ['first'] },
    { name: 'by-alias', models: ['gpt-first', 'vectors'] },
    { name: 'all' },
  ];

  test('sees those alone in every list', async () => {
    const { server, keyOf } = await serverWithKeys(keys);
    const listed = async (path: string, key: string, headers = {}) => {
      const answer = await ask(`${server.url}${path}`, { headers: { 'x-api-key': key, ...headers } });
      expect(answer.status, path).toBe(200);
      return answer.text;
    };
    const anthropic = { 'anthropic-version': '2023-06-01' };
    for (const [path, headers] of [
      ['/v1/models', {}],
      ['/v1/models', anthropic],
      ['/api/tags', {}],
      ['/api/ps', {}],
    ] as const) {
      const narrow = await listed(path, keyOf('narrow'), headers);
      expect(narrow, path).toContain('first');
      expect(narrow, path).not.toMatch(/second|vectors/);
      expect(await listed(path, keyOf('by-alias'), headers)).toMatch(/first[\s\S]*vectors/);
      expect(await listed(path, keyOf('all'), headers)).toContain('second');
    }
  });

  test('is refused the others, in the words of each protocol', async () => {
    const { server, keyOf } = await serverWithKeys(keys);
    const told = async (path: string, body: object) => {
      const answer = await ask(`${server.url}${path}`, { body, headers: { 'api-key': keyOf('narrow') } });
      expect(answer.status, `${path} ${answer.text}`).toBe(403);
      return answer.json<Record<string, unknown>>();
    };
    const messages = [{ role: 'user', content: 'hi' }];
    const message = 'This API key may not use the model "second". It may use: first.';
    expect(await told('/generate', { prompt: 'hi', model: 'second' })).toMatchObject({
      error: { code: 'model_not_allowed', param: 'model', message },
    });
    expect(await told('/embed', { input: 'hi', model: 'second' })).toMatchObject({
      error: { code: 'model_not_allowed' },
    });
    expect(await told('/v1/chat/completions', { messages, model: 'second' })).toMatchObject({
      error: { message, type: 'permission_error', code: 'model_not_allowed', param: 'model' },
    });
    expect(await told('/v1/messages', { messages, model: 'second', max_tokens: 1 })).toMatchObject({
      type: 'error',
      error: { type: 'permission_error' },
    });
    expect(await told('/api/chat', { messages, model: 'second' })).toMatchObject({ error: message });
    expect(await told('/api/show', { model: 'second' })).toMatchObject({ error: message });
    expect(await told('/tokenize', { prompt: 'hi', model: 'second' })).toBeDefined();
  });

  test('is not answered by a fallback model that it may not use', async () => {
    const { server, keyOf } = await serverWithKeys(keys);
    const generate = (name: string) =>
      ask(`${server.url}/generate`, { body: { ...BODY, model: 'first' }, ...withKey(keyOf(name)) });
    const open = await generate('all');
    expect([open.status, open.headers['x-served-model']]).toEqual([200, 'second']);
    const narrow = await generate('narrow');
    expect([narrow.status, narrow.headers['x-served-model']]).toEqual([502, 'first']);
  });
});

test('a key’s highest priority counts, whatever its address', async () => {
  const { server, keyOf } = await serverWithKeys(
    [
      { name: 'low', highest_priority: 'low' },
      { name: 'high', highest_priority: 'high' },
      { name: 'unsaid' },
    ],
    ['--scheduler.high-priority-clients', '["127.0.0.1"]'],
  );
  const granted = async (name: string, asked: string) => {
    const { headers } = await ask(`${server.url}/generate`, {
      body: { ...BODY, model: 'second' },
      headers: { 'x-api-key': keyOf(name), 'x-request-priority': asked },
    });
    return [headers['x-request-priority'], headers['x-priority-lowered-from']];
  };
  expect(await granted('low', 'high')).toEqual(['low', 'high']);
  expect(await granted('high', 'high')).toEqual(['high', undefined]);
  expect(await granted('unsaid', 'high')).toEqual(['high', undefined]);
});
