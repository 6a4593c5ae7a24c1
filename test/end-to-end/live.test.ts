/** GET /live on the composed server: what waits and runs, what has ended, and who sees which of it. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { LiveSnapshot } from '../../src/core/live-snapshot.ts';
import { ask, openAnswer } from '../support/http-client.ts';
import { readLive } from '../support/live-stream.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';

const HELD = scripted({ text: 'one two three', fail: 'hang-mid-stream', fail_after_tokens: 2 });
const ONE_SLOT = scriptedFlags({ target: { slots: 1 } });
const JSON_ONLY = { accept: 'application/json' };

function start(...flags: readonly string[]) {
  return startServer({ flags: [...ONE_SLOT, ...flags], endsWith: onTestFinished });
}

/** Begins to answer and does not end. */
async function hold(server: { readonly url: string }, headers: Readonly<Record<string, string>> = {}) {
  const held = await openAnswer(`${server.url}/stream`, { body: { prompt: HELD }, headers });
  await held.until((text) => text.includes('two'));
  return held;
}

async function now(
  server: { readonly url: string },
  headers: Readonly<Record<string, string>> = {},
): Promise<LiveSnapshot> {
  const answer = await ask(`${server.url}/live`, { headers: { ...JSON_ONLY, ...headers } });
  expect(answer.status).toBe(200);
  return answer.json<LiveSnapshot>();
}

test('it shows what runs and what waits, with why and until when, and then the receipts', async () => {
  const server = await start();
  const live = await readLive(server);
  const first = await live.until(() => true);
  expect(first).toMatchObject({ sequence: 0, scope: 'all', queue: [], running: [], ended: [] });
  expect(first.targets).toMatchObject([
    { name: 'demo/scripted/0', slots: 1, slots_used: 0, health: 'ready' },
  ]);

  const held = await hold(server, { 'x-request-id': 'runs' });
  const waits = openAnswer(`${server.url}/stream`, {
    body: { prompt: 'hi' },
    headers: { 'x-request-id': 'waits' },
  });
  const full = await live.until(({ queue }) => queue.length === 1);
  const [running] = full.running;
  expect(running).toMatchObject({
    request_id: 'runs',
    model: 'demo',
    priority: 'normal',
    target: 'demo/scripted/0',
    attempt: 1,
    completion_tokens: 2,
    batch: { size: 1 },
  });
  expect(running?.first_token_at_ms).toBeGreaterThanOrEqual(running?.started_at_ms ?? Number.NaN);
  expect(full.queue).toMatchObject([
    { request_id: 'waits', position: 1, reason: 'no_free_slot', attempt: 1 },
  ]);
  const [waiting] = full.queue;
  expect((waiting?.expires_at_ms ?? 0) - (waiting?.enqueued_at_ms ?? 0)).toBeGreaterThan(1000);
  expect(full.models).toEqual([{ id: 'demo', waiting: 1, running: 1 }]);
  expect(full.targets[0]).toMatchObject({ slots_used: 1 });

  held.leave();
  await (await waits).whole;
  const after = await live.until(({ ended }) => ended.some(({ request_id }) => request_id === 'waits'));
  const all = live.snapshots().flatMap(({ ended }) => ended);
  expect(all.map(({ request_id, status }) => [request_id, status])).toEqual([
    ['runs', 499],
    ['waits', 200],
  ]);
  const [cancelled, finished] = all;
  expect(cancelled).toMatchObject({ error_code: 'client_gone', attempts: [{ outcome: 'cancelled' }] });
  expect(finished).toMatchObject({ model: 'demo', finish_reason: 'stop', client: running?.client });
  expect(finished?.timings?.queue_ms).toBeGreaterThan(0);
  expect(finished?.attempts).toMatchObject([{ outcome: 'completed', kind: null }]);
  expect(after.sums).toMatchObject({ finished: 1, cancelled: 1, failed: 0 });
  live.answer.leave();
});

test('with Accept: application/json it is one snapshot; HEAD has no body; other methods are a 405', async () => {
  const server = await start();
  expect(await now(server)).toMatchObject({ scope: 'all', sums: { finished: 0, ttft_ms: null } });
  const head = await ask(`${server.url}/live`, { method: 'HEAD' });
  expect([head.status, head.headers['content-type'], head.text]).toEqual([
    200,
    'text/event-stream; charset=utf-8',
    '',
  ]);
  expect((await ask(`${server.url}/live`, { body: {} })).status).toBe(405);
});

test.each(['99', '5001', 'fast', '-1', '1e3', ''])(
  'interval_ms=%s is a 400 that names it',
  async (interval) => {
    const server = await start();
    const answer = await ask(`${server.url}/live?interval_ms=${interval}`);
    expect(answer.status).toBe(400);
    expect(answer.json().error).toMatchObject({ code: 'invalid_request', param: 'interval_ms' });
  },
);

describe('behind keys', () => {
  const KEYS = ['--auth.api-keys', '["key-of-ann","key-of-bob"]', '--auth.admin-keys', '["key-of-boss"]'];
  const as = (key: string) => ({ authorization: `Bearer ${key}` });

  test('an ordinary key sees its own requests and the sums of all, an admin key sees all', async () => {
    const server = await start(...KEYS);
    const boss = await readLive(server, { headers: as('key-of-boss') });
    const ann = await readLive(server, { headers: as('key-of-ann') });
    const held = await hold(server, { ...as('key-of-bob'), 'x-request-id': 'of-bob' });
    const waits = openAnswer(`${server.url}/stream`, {
      body: { prompt: 'hi' },
      headers: { ...as('key-of-ann'), 'x-request-id': 'of-ann' },
    });
    const seen = await boss.until(({ queue, running }) => queue.length === 1 && running.length === 1);
    expect(seen.scope).toBe('all');
    const own = await ann.until(({ queue }) => queue.length === 1);
    expect(own).toMatchObject({ scope: 'own', running: [], queue: [{ request_id: 'of-ann', position: 1 }] });
    expect(own.models).toEqual([{ id: 'demo', waiting: 1, running: 1 }]);
    held.leave();
    await (await waits).whole;
    await ann.until(({ sums }) => sums.cancelled === 1 && sums.finished === 1);
    await boss.until(({ ended }) => ended.some(({ request_id }) => request_id === 'of-ann'));
    expect(ann.answer.text()).toContain('of-ann');
    for (const hidden of ['of-bob', '127.0.0.1', 'key-of-bob', 'one two three'])
      expect(ann.answer.text()).not.toContain(hidden);
    expect(boss.answer.text()).toContain('of-bob');
    expect(boss.answer.text()).not.toContain('127.0.0.1');
    boss.answer.leave();
    ann.answer.leave();
  });

  test('without a key it is a 401', async () => {
    const server = await start(...KEYS);
    expect((await ask(`${server.url}/live`)).json().error.code).toBe('missing_api_key');
    expect((await ask(`${server.url}/live`, { headers: as('wrong') })).json().error.code).toBe(
      'invalid_api_key',
    );
  });

  test('with admin keys alone, who has none sees the requests of its own address', async () => {
    const server = await start('--auth.admin-keys', '["key-of-boss"]');
    expect((await now(server)).scope).toBe('own');
    expect((await now(server, as('key-of-boss'))).scope).toBe('all');
  });

  test('guesses at an admin key are refused and counted, beside a valid API key too', async () => {
    const server = await start(...KEYS);
    const guess = (at: number) => ({ ...as(`guess-${at}`), 'x-api-key': 'key-of-ann' });
    for (let at = 0; at < 10; at += 1)
      expect((await ask(`${server.url}/live`, { headers: guess(at) })).status).toBe(401);
    expect((await ask(`${server.url}/live`, { headers: guess(10) })).status).toBe(429);
    expect((await now(server, as('key-of-boss'))).scope).toBe('all');
  });
});

test('a reader whose key a reload took away loses the stream, and is refused when asking again', async () => {
  const config = (...keys: readonly string[]) =>
    [
      'models: [{ id: demo, targets: [{ backend: scripted, name: a, model: m }] }]',
      `auth: { admin_keys: [${keys.join(', ')}] }`,
    ].join('\n');
  const server = await startServer({
    configFile: config('key-of-ann', 'key-of-boss'),
    endsWith: onTestFinished,
  });
  const as = (key: string) => ({ authorization: `Bearer ${key}` });
  const reload = async (configFile: string) => {
    server.reconfigure({ configFile });
    const { status } = await ask(`${server.url}/admin/reload`, {
      method: 'POST',
      headers: as('key-of-boss'),
    });
    expect(status).toBe(200);
  };
  const ann = await readLive(server, { headers: as('key-of-ann') });
  await ann.until(({ scope }) => scope === 'all');
  await reload(`${config('key-of-ann', 'key-of-boss')}\nscheduler: { max_queue: 7 }`);
  await ask(`${server.url}/generate`, { body: { prompt: 'hi' } });
  await ann.until(({ sums }) => sums.finished === 1);
  await reload(config('key-of-boss'));
  await ann.answer.whole;
  const again = await ask(`${server.url}/live`, { headers: as('key-of-ann') });
  expect([again.status, again.json().error.code]).toEqual([401, 'invalid_api_key']);
});

test('a page of another site cannot open it as an image or a frame; one of an allowed origin may fetch it', async () => {
  const server = await start('--server.cors-origins', '["https://app.example"]');
  const site = { ...JSON_ONLY, 'sec-fetch-site': 'cross-site' };
  const refused = await ask(`${server.url}/live`, { headers: site });
  expect([refused.status, refused.json().error.code]).toEqual([403, 'forbidden']);
  const allowed = { ...site, origin: 'https://app.example' };
  expect((await ask(`${server.url}/live`, { headers: allowed })).status).toBe(200);
  for (const own of ['same-origin', 'same-site', 'none'])
    expect((await ask(`${server.url}/live`, { headers: { ...site, 'sec-fetch-site': own } })).status).toBe(
      200,
    );
});

test('without keys, who comes through a proxy sees only its own requests', async () => {
  const server = await start();
  expect((await now(server, { 'x-forwarded-for': '10.1.1.1' })).scope).toBe('own');
});

test('a stream of snapshots holds up no shutdown, and is no request to a model', async () => {
  const server = await start();
  const live = await readLive(server);
  await live.until(() => true);
  const metrics = (await ask(`${server.url}/metrics`)).text;
  expect(metrics).toContain('llm_serve_requests_running{model="demo"} 0');
  expect(metrics).toContain('llm_serve_oldest_request_seconds 0');
  await server.drain();
  await live.answer.whole;
});

test('more than 32 readers are a 503 with Retry-After', async () => {
  const server = await start();
  const readers = await Promise.all(Array.from({ length: 32 }, () => readLive(server)));
  const refused = await ask(`${server.url}/live`);
  expect([refused.status, refused.headers['retry-after'], refused.json().error.code]).toEqual([
    503,
    '5',
    'server_busy',
  ]);
  readers[0]?.answer.leave();
  await expect
    .poll(async () => {
      const reader = await openAnswer(`${server.url}/live`);
      reader.leave();
      return reader.status;
    })
    .toBe(200);
  for (const { answer } of readers) answer.leave();
});
