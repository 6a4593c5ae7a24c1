/** What administrators can do to a server that is under load, and the address that is theirs alone (`admin.port`). */
import { describe, expect, onTestFinished, test } from 'vitest';
import { whenEachAnswers } from '../support/each-worker.ts';
import { type Ask, ask, eventsOf, generate, metric, openAnswer, send } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, startServer } from '../support/server.ts';

const HANGING = { prompt: scripted({ fail: 'hang' }) };
const ADMIN_KEY = 'admin-key-0123';
const API_KEY = 'api-key-0123';
const withKey = (key: string): Ask => ({ headers: { authorization: `Bearer ${key}` } });

interface Row {
  readonly id: string;
  readonly request_id: string;
  readonly client: string;
  readonly key: string | null;
  readonly team: string | null;
}

interface Queue {
  readonly waiting: readonly Row[];
  readonly running: readonly Row[];
}

async function queueOf(server: ComposedServer, options: Ask = {}): Promise<Queue> {
  return (await ask(`${server.url}/admin/queue`, options)).json<Queue>();
}

const cancel = (server: ComposedServer, id = '', options: Ask = {}) =>
  ask(`${server.url}/admin/queue/${id}/cancel`, { method: 'POST', ...options });

const whenQueued = (server: ComposedServer, waiting: number, running: number) =>
  expect
    .poll(async () => {
      const queue = await queueOf(server);
      return [queue.waiting.length, queue.running.length];
    })
    .toEqual([waiting, running]);

describe('cancelling one request', () => {
  const start = () =>
    startServer({ flags: scriptedFlags({ target: { slots: 1 } }), endsWith: onTestFinished });

  test('one that waits is answered 410, exactly once, and leaves its place to the next', async () => {
    const server = await start();
    const running = generate(server, HANGING);
    await whenQueued(server, 0, 1);
    const waiting = generate(server, { prompt: 'one two' });
    await whenQueued(server, 1, 1);

    const [row] = (await queueOf(server)).waiting;
    const answer = await cancel(server, row?.id);
    expect(answer.json()).toEqual({ id: row?.id, request_id: row?.request_id });
    const cancelled = await waiting;
    expect(cancelled.status).toBe(410);
    expect(cancelled.json().error.code).toBe('cancelled_by_admin');
    expect(cancelled.headers).not.toHaveProperty('retry-after');
    expect((await cancel(server, row?.id)).status, 'it is gone').toBe(404);

    const next = generate(server, { prompt: 'one two' });
    const [first] = (await queueOf(server)).running;
    expect((await cancel(server, first?.id)).status).toBe(200);
    expect((await running).status).toBe(410);
    expect((await next).status, 'the slot is free').toBe(200);
    await whenQueued(server, 0, 0);
    expect(await metric(server, 'llm_serve_cancelled_total', '{phase="queued",model="demo"}')).toBe(1);
  });

  test('a stream that has begun ends with an error event, and without its success marker', async () => {
    const server = await start();
    const stream = await openAnswer(`${server.url}/stream`, {
      body: { prompt: scripted({ text: 'one two three', fail: 'hang-mid-stream', fail_after_tokens: 2 }) },
    });
    await stream.until((text) => text.includes('one'));
    const [row] = (await queueOf(server)).running;
    await cancel(server, row?.id);
    const text = await stream.whole;
    expect(eventsOf(text).at(-1)?.error?.code).toBe('cancelled_by_admin');
    expect(text).not.toContain('[DONE]');
  });

  test('all choices of a request have its id, and end with it', async () => {
    const server = await start();
    const both = ask(`${server.url}/v1/chat/completions`, {
      body: { model: 'demo', n: 2, messages: [{ role: 'user', content: HANGING.prompt }] },
    });
    await whenQueued(server, 1, 1);
    const { waiting, running } = await queueOf(server);
    expect(waiting[0]?.id).toBe(running[0]?.id);
    await cancel(server, running[0]?.id);
    expect((await both).status).toBe(410);
    await whenQueued(server, 0, 0);
  });

  test('a request shows whose it is; who cancelled it is in the audit log and in the log', async () => {
    const server = await startServer({
      flags: [...scriptedFlags(), '--auth.admin-keys', JSON.stringify([ADMIN_KEY])],
      endsWith: onTestFinished,
    });
    const admin = withKey(ADMIN_KEY);
    const made = await ask(`${server.url}/admin/keys`, { ...admin, body: { name: 'alice', team: 'red' } });
    const { key } = made.json<{ key: string }>();
    // The server has taken the key.
    await whenEachAnswers(server, '/v1/models', 401);
    const held = send(`${server.url}/generate`, { ...withKey(key), body: HANGING });
    onTestFinished(() => void held.destroy());
    await expect.poll(async () => (await queueOf(server, admin)).running.length).toBe(1);
    const [row] = (await queueOf(server, admin)).running;
    expect(row).toMatchObject({ client: 'alice', key: 'alice', team: 'red' });
    expect((await cancel(server, row?.id, withKey(key))).status, 'alice may not administer').toBe(403);
    await cancel(server, row?.id, admin);

    const audit = await ask(`${server.url}/admin/audit`, admin);
    expect(audit.json<{ entries: unknown[] }>().entries).toMatchObject([
      { action: 'request.cancel', actor: 'admin_keys[0]', subject: row?.id, details: { key: 'alice' } },
      { action: 'key.create', actor: 'admin_keys[0]', details: { name: 'alice', team: 'red' } },
    ]);
    expect(audit.text).not.toContain(key);

    // A key of the store that may administer: by its id as well, as its name may be another key's later.
    await ask(`${server.url}/admin/keys/alice`, { method: 'PATCH', ...admin, body: { may_admin: true } });
    const alice = withKey(key);
    await whenEachAnswers(server, '/admin/targets', 200, alice);
    await ask(`${server.url}/admin/targets/demo/scripted/0/drain`, { method: 'POST', ...alice });
    const [newest] = (await ask(`${server.url}/admin/audit?limit=1`, alice)).json<{ entries: unknown[] }>()
      .entries;
    const { id } = made.json<{ id: string }>();
    expect(newest).toMatchObject({ action: 'target.drain', actor: 'alice', details: { by: id } });
    const line = await server.logged(({ msg }) => msg === 'administration: request.cancel');
    expect(line).toMatchObject({ actor: 'admin_keys[0]', subject: row?.id, key: 'alice' });
  });
});

describe('the configuration in force', () => {
  const file = (more: string) => `models: [{ id: m, targets: [{ backend: scripted, model: m }] }]\n${more}`;
  interface Configuration {
    readonly configuration: Readonly<Record<'generation' | 'scheduler', Readonly<Record<string, number>>>>;
    readonly sources: Readonly<Record<string, string>>;
    readonly needs_restart: readonly string[];
  }

  test('comes with the source of each setting and without secrets, and is that of the last reload', async () => {
    const server = await startServer({
      flags: ['--generation.max-tokens', '7'],
      environment: { LLM_SERVE_AUTH__ADMIN_KEYS: JSON.stringify([ADMIN_KEY]) },
      configFile: file('scheduler: { max_queue: 9 }'),
      endsWith: onTestFinished,
    });
    const read = () => ask(`${server.url}/admin/configuration`, withKey(ADMIN_KEY));
    const answer = await read();
    expect(answer.text).not.toContain(ADMIN_KEY);
    const { configuration, sources, needs_restart } = answer.json<Configuration>();
    expect(configuration).toMatchObject({ auth: { admin_keys: ['(secret)'] }, scheduler: { max_queue: 9 } });
    expect(sources).toMatchObject({
      'generation.max_tokens': 'flag',
      'auth.admin_keys': 'environment',
      'scheduler.max_queue': 'file',
      models: 'file',
    });
    expect(sources).not.toHaveProperty('scheduler.window_ms');
    expect(needs_restart).toContain('server.port');

    server.reconfigure({ configFile: file('scheduler: { window_ms: 8 }\ngeneration: { max_tokens: 8 }') });
    await ask(`${server.url}/admin/reload`, { method: 'POST', ...withKey(ADMIN_KEY) });
    const after = (await read()).json<Configuration>();
    expect(after.configuration.scheduler.window_ms).toBe(8);
    expect(after.configuration.generation.max_tokens, 'a flag goes before the file').toBe(7);
    expect(after.sources).toMatchObject({ 'generation.max_tokens': 'flag', 'scheduler.window_ms': 'file' });
    expect(after.sources).not.toHaveProperty('scheduler.max_queue');
  });

  test('a reload that fails is in the audit log as well', async () => {
    const server = await startServer({ configFile: file(''), endsWith: onTestFinished });
    server.reconfigure({ configFile: file('generation: { max_tokens: many }') });
    expect((await ask(`${server.url}/admin/reload`, { method: 'POST' })).status).toBe(422);
    const audit = await ask(`${server.url}/admin/audit`);
    expect(audit.json<{ entries: unknown[] }>().entries).toMatchObject([
      {
        action: 'configuration.reload',
        actor: 'this machine',
        address: '127.0.0.1',
        details: { failed: 'invalid_configuration' },
      },
    ]);
  });
});

describe('admin.port', () => {
  const start = (...flags: readonly string[]) =>
    startServer({ flags: [...scriptedFlags(), '--admin.port', '0', ...flags], endsWith: onTestFinished });
  const statusOf = async (url: string, options: Ask = {}) => (await ask(url, options)).status;

  test('administration is served there alone, and models are not', async () => {
    const { url, adminUrl = '' } = await start();
    expect(await statusOf(`${adminUrl}/admin/targets`)).toBe(200);
    expect(await statusOf(`${adminUrl}/health`)).toBe(200);
    expect(await statusOf(`${adminUrl}/`)).toBe(200);
    expect(await statusOf(`${adminUrl}/live`, { headers: { accept: 'application/json' } })).toBe(200);
    expect(await statusOf(`${adminUrl}/generate`, { body: { prompt: 'hi' } })).toBe(404);
    expect(await statusOf(`${adminUrl}/v1/models`)).toBe(404);
    expect(await statusOf(`${adminUrl}/metrics`)).toBe(404);

    const elsewhere = await ask(`${url}/admin/targets`);
    expect(elsewhere.status).toBe(404);
    expect(elsewhere.json().error.message).toContain('admin.port');
    expect(await statusOf(`${url}/admin/reload`, { method: 'POST' })).toBe(404);
    expect(await statusOf(`${url}/metrics`)).toBe(200);
    expect(await statusOf(`${url}/generate`, { body: { prompt: 'hi' } })).toBe(200);
  });

  test('admin.metrics moves GET /metrics there; any key reads it, only an admin key administers', async () => {
    const { url, adminUrl = '' } = await start(
      '--admin.metrics',
      'true',
      '--auth.admin-keys',
      JSON.stringify([ADMIN_KEY]),
      '--auth.api-keys',
      JSON.stringify([API_KEY]),
    );
    expect(await statusOf(`${url}/metrics`, withKey(API_KEY))).toBe(404);
    expect(await statusOf(`${adminUrl}/metrics`)).toBe(401);
    expect(await statusOf(`${adminUrl}/metrics`, withKey(API_KEY))).toBe(200);
    expect(await statusOf(`${adminUrl}/metrics`, withKey(ADMIN_KEY))).toBe(200);
    for (const path of ['/admin/targets', '/live', '/nothing']) {
      expect(await statusOf(`${adminUrl}${path}`), path).toBe(401);
      expect(await statusOf(`${adminUrl}${path}`, withKey(API_KEY)), path).toBe(403);
    }
    expect(await statusOf(`${adminUrl}/admin/targets`, withKey(ADMIN_KEY))).toBe(200);
    expect(await statusOf(`${adminUrl}/`), 'the page shows nothing of the server by itself').toBe(200);
    // More often than wrong keys may be sent.
    for (let turn = 0; turn < 12; turn += 1)
      for (const path of ['/admin/targets', '/metrics', '/nothing'])
        expect(await statusOf(`${url}${path}`, withKey(ADMIN_KEY)), path).toBe(404);
    expect(await statusOf(`${url}/v1/models`, withKey(ADMIN_KEY)), 'it is no API key').toBe(401);
    expect(await statusOf(`${url}/admin/targets`, withKey(API_KEY))).toBe(404);
  });

  test('without an admin key it answers this machine alone, whatever its address', async () => {
    const { adminUrl = '' } = await start();
    const answer = await ask(`${adminUrl}/admin/queue`, { headers: { 'x-forwarded-for': '203.0.113.7' } });
    expect(answer.status).toBe(403);
    expect(await statusOf(`${adminUrl}/live`, { headers: { 'x-forwarded-for': '203.0.113.7' } })).toBe(403);
  });

  test.each(['--auth.allow-open', '--auth.api-keys'])(
    'an address that others can reach needs an admin key: %s does not do',
    async (flag) => {
      const value = flag.endsWith('keys') ? JSON.stringify([API_KEY]) : 'true';
      await expect(start('--admin.host', '0.0.0.0', flag, value)).rejects.toThrow(
        'admin.host is "0.0.0.0", which others can reach, but there is no admin key',
      );
    },
  );

  test('a client at the limit of connections does not keep administrators out', async () => {
    const { url, adminUrl = '' } = await start('--server.max-connections', '1');
    const held = await openAnswer(`${url}/live`);
    onTestFinished(() => held.leave());
    await expect(ask(`${url}/health`)).rejects.toThrow();
    expect(await statusOf(`${adminUrl}/admin/targets`)).toBe(200);
  });
});
