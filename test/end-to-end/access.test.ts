/** Who gets in, and what counts for the rate limit: a guesser of keys hurts nobody else, and what is refused unread is free. */
import { connect } from 'node:net';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Answer, ask, exchangeBytes } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer, TEST_WORKERS } from '../support/server.ts';

const KEY = 'the-right-key-1';
const BODY = { prompt: 'hi', max_tokens: 1 };
const withKey = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

const limited = (requests: number) => [
  '--rate-limit.enabled',
  'true',
  '--rate-limit.requests',
  `${requests}`,
];

function remaining({ headers }: Pick<Answer, 'headers'>): number {
  return Number(headers['x-ratelimit-remaining']);
}

describe('metrics.open', () => {
  test('lets a scraper without a key read the load by the names that it knows, before any request, and nothing else', async () => {
    const shown = ['--metrics.open', 'true', '--metrics.vllm-names', 'true'];
    const server = await startServer({
      flags: [...scriptedFlags(), ...shown, '--auth.api-keys', JSON.stringify([KEY])],
      endsWith: onTestFinished,
    });
    const { text } = await ask(`${server.url}/metrics`);
    for (const name of ['vllm:num_requests_waiting', 'vllm:num_requests_running'])
      expect(text).toMatch(new RegExp(`^${name}\\{engine="0",model_name="[^"]+"\\} 0$`, 'm'));
    const statusOf = async (path: string) => (await ask(`${server.url}${path}`)).status;
    expect(await statusOf('/metrics')).toBe(200);
    const others = ['/v1/models', '/live', '/metricsx', '/generate'];
    expect(await Promise.all(others.map(statusOf))).toEqual(others.map(() => 401));
  });

  test('is off: a scraper needs a key', async () => {
    const server = await startServer({
      flags: [...scriptedFlags(), '--auth.api-keys', JSON.stringify([KEY])],
      endsWith: onTestFinished,
    });
    expect((await ask(`${server.url}/metrics`)).status).toBe(401);
  });
});

describe('wrong keys', () => {
  test('the first ten of an address in a minute are 401, then 429; the right key is served on every route, its budget untouched', async () => {
    const server = await startServer({
      flags: [...scriptedFlags(), ...limited(60), '--auth.api-keys', JSON.stringify([KEY])],
      endsWith: onTestFinished,
    });
    const tried = ['/generate', '/v1/chat/completions', '/v1/models', '/api/tags', '/metrics', '/nothing'];
    const answers: Answer[] = [];
    for (let count = 0; count < 80; count += 1) {
      const path = tried[count % tried.length] ?? '';
      const body = path === '/generate' || path.endsWith('completions') ? { body: BODY } : {};
      answers.push(await ask(`${server.url}${path}`, { ...withKey(`a-wrong-key-${count}`), ...body }));
    }
    expect(answers.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 10 }, () => 401),
      ...Array.from({ length: 70 }, () => 429),
    ]);
    const [late] = answers.slice(-2);
    expect(late?.headers['x-reject-reason']).toBe('too_many_attempts');
    expect(Number(late?.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(late?.headers['x-should-retry'], 'a wrong key stays wrong').toBe('false');
    for (const { headers } of answers) expect(headers).not.toHaveProperty('x-ratelimit-remaining');

    const right = await ask(`${server.url}/generate`, { ...withKey(KEY), body: BODY });
    expect(right.status).toBe(200);
    expect(remaining(right)).toBe(59);
    expect((await ask(`${server.url}/v1/models`, withKey(KEY))).status).toBe(200);
    expect((await ask(`${server.url}/metrics`, withKey(KEY))).text).toContain(
      'llm_serve_rejected_total{code="too_many_attempts"} 70',
    );
    expect((await ask(`${server.url}/generate`, { body: BODY })).status, 'no key is no guess').toBe(401);
  });

  test('each protocol says so in its own words', async () => {
    const server = await startServer({
      flags: [...scriptedFlags(), '--auth.api-keys', JSON.stringify([KEY])],
      endsWith: onTestFinished,
    });
    for (let count = 0; count < 10; count += 1) await ask(`${server.url}/v1/models`, withKey('a-wrong-key'));
    const told = async (path: string) => {
      const answer = await ask(`${server.url}${path}`, { ...withKey('a-wrong-key'), body: {} });
      expect(answer.status, path).toBe(429);
      return answer.json<Record<string, unknown>>();
    };
    expect(await told('/stream')).toMatchObject({ error: { code: 'too_many_attempts', param: null } });
    expect(await told('/v1/chat/completions')).toMatchObject({
      error: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
    });
    expect(await told('/v1/messages')).toMatchObject({ type: 'error', error: { type: 'rate_limit_error' } });
    expect(await told('/api/chat')).toMatchObject({ error: expect.stringContaining('API key') });
  });

  test('a right key beside another in the other header gets in', async () => {
    const server = await startServer({
      flags: [...scriptedFlags(), '--auth.api-keys', JSON.stringify([KEY])],
      endsWith: onTestFinished,
    });
    const headers = { authorization: 'Bearer none', 'x-api-key': KEY };
    expect((await ask(`${server.url}/generate`, { headers, body: BODY })).status).toBe(200);
  });
});

describe('what counts for the limit', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({
      flags: [...scriptedFlags(), ...limited(1000), '--server.body-limit-bytes', '1000'],
      endsWith,
    });
  });

  const bytesOf = (body: string, headers: readonly string[] = ['Content-Type: application/json']) =>
    exchangeBytes(
      server.port,
      [
        'POST /generate HTTP/1.1',
        'Host: localhost',
        'Connection: close',
        `Content-Length: ${Buffer.byteLength(body)}`,
        ...headers,
        '',
        body,
      ].join('\r\n'),
    );
  const left = async () => remaining(await ask(`${server.url}/generate`, { body: BODY }));

  test.each([
    ['415', 'hi', ['Content-Type: text/plain'], 415],
    ['415 for a compressed body', '{}', ['Content-Type: application/json', 'Content-Encoding: gzip'], 415],
    ['413', JSON.stringify({ prompt: 'x'.repeat(2000) }), ['Content-Type: application/json'], 413],
    ['unreadable JSON', '{"prompt":', ['Content-Type: application/json'], 400],
    ['403', '{}', ['Content-Type: application/json', 'Origin: https://evil.example'], 403],
  ] as const)('%s does not', async (_, body, headers, status) => {
    const before = await left();
    const answer = await bytesOf(body, headers);
    expect(answer.status, answer.body).toBe(status);
    if (status !== 403)
      expect(answer.header('x-ratelimit-remaining'), 'it says what is left').toBe(`${before}`);
    expect(await left(), 'only the two that asked').toBe(before - 1);
  });

  test.each([
    ['an invalid request', { prompt: 'hi', max_tokens: 0 }, 400],
    ['a model that is not there', { prompt: 'hi', model: 'other' }, 404],
    ['a failing backend', { prompt: scripted({ fail: 'error' }) }, 502],
  ])('%s does', async (_, body, status) => {
    const before = await left();
    const answer = await ask(`${server.url}/generate`, { body });
    expect([answer.status, remaining(answer)]).toEqual([status, before - 1]);
    expect(await left()).toBe(before - 2);
  });
});

// With workers, one that comes later on another connection may be counted first.
test.skipIf(TEST_WORKERS > 1)(
  'of many requests whose bodies arrive at the same time no more than the limit get in, and those found unreadable make room',
  async () => {
    const server = await startServer({
      flags: [...scriptedFlags(), ...limited(3)],
      endsWith: onTestFinished,
    });
    const body = JSON.stringify(BODY);
    const unreadable = `{${body.slice(1, -1)}!`;
    const bytes = (text: string) =>
      `POST /generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n`;
    /** Sends the head, and the body when told to. */
    const half = async (text: string) => {
      const socket = connect(server.port, '127.0.0.1');
      let received = '';
      socket.setEncoding('utf8').on('data', (piece: string) => {
        received += piece;
      });
      const ended = new Promise<string>((resolve) => socket.once('close', () => resolve(received)));
      await new Promise<unknown>((resolve) => socket.write(bytes(text), resolve));
      return { finish: () => socket.write(text), ended };
    };
    const held = await Promise.all([half(unreadable), half(body), half(unreadable)]);
    // By its answer, those before it have been read.
    await ask(`${server.url}/health`);
    await expect
      .poll(async () => (await ask(`${server.url}/generate`, { body: BODY })).status, { timeout: 60_000 })
      .toBe(429);
    for (const { finish } of held) finish();
    const statuses = (await Promise.all(held.map(({ ended }) => ended))).map((text) => text.slice(9, 12));
    expect(statuses).toEqual(['400', '200', '400']);
    const after = await Promise.all(
      Array.from({ length: 8 }, () => ask(`${server.url}/generate`, { body: BODY })),
    );
    expect(after.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429, 429, 429, 429, 429]);
  },
);

describe('the limiter where nothing is said of it', () => {
  const target = JSON.stringify([{ id: 'demo', targets: [{ backend: 'scripted', model: 'demo' }] }]);
  const start = (flags: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
    startServer({ flags: ['--models', target, ...flags], environment, endsWith: onTestFinished });
  const limitOf = async ({ url }: RunningServer, headers = {}) =>
    (await ask(`${url}/generate`, { body: BODY, headers })).headers['x-ratelimit-limit'];
  const banner = (server: RunningServer) => server.logged(({ msg }) => msg.startsWith('Rate limit'));

  test('on loopback without keys is off, and the start says so', async () => {
    const server = await start([]);
    expect(await limitOf(server)).toBeUndefined();
    expect((await banner(server)).msg).toBe(
      'Rate limit: off, as the server listens on loopback without keys and no rate_limit key is set.',
    );
  });

  test('with keys is on', async () => {
    const server = await start(['--auth.api-keys', JSON.stringify([KEY])]);
    expect(await limitOf(server, { 'x-api-key': KEY })).toBe('60');
    expect((await banner(server)).msg).toBe(
      'Rate limit: 60 requests in 60 seconds for each key without another limit on requests, or each address without a key, as auth.api_keys is set.',
    );
  });

  test('any rate_limit key turns it on', async () => {
    const server = await start([], { LLM_SERVE_RATE_LIMIT__WINDOW_SECONDS: '30' });
    expect(await limitOf(server)).toBe('60');
    expect((await banner(server)).msg).toBe(
      'Rate limit: 60 requests in 30 seconds for each key without another limit on requests, or each address without a key, as rate_limit is set.',
    );
  });
});

describe('/admin', () => {
  const ADMIN = 'the-admin-key-1';
  const start = (...flags: string[]) =>
    startServer({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
  const apiKeys = ['--auth.api-keys', JSON.stringify([KEY])];
  const adminKeys = ['--auth.admin-keys', JSON.stringify([ADMIN])];
  const reload = async (server: RunningServer, headers: Readonly<Record<string, string>> = {}) => {
    const answer = await ask(`${server.url}/admin/reload`, { method: 'POST', headers });
    return answer.status === 200 ? 200 : answer.json().error.code;
  };

  test('with admin keys needs one, as a Bearer token or x-api-key; an API key is none, and an admin key opens nothing else', async () => {
    const server = await start(...apiKeys, ...adminKeys);
    expect(await reload(server)).toBe('missing_api_key');
    expect(await reload(server, { 'x-api-key': KEY })).toBe('forbidden');
    expect(await reload(server, { 'x-api-key': ADMIN })).toBe(200);
    expect(await reload(server, { authorization: `Bearer ${ADMIN}`, 'x-forwarded-for': '1.2.3.4' })).toBe(
      200,
    );
    const generation = await ask(`${server.url}/generate`, { body: BODY, headers: { 'x-api-key': ADMIN } });
    expect(generation.json().error.code).toBe('invalid_api_key');
  });

  test('without them is open to this machine alone, whatever API key comes along', async () => {
    const server = await start(...apiKeys);
    expect(await reload(server)).toBe(200);
    for (const headers of [{ host: 'api.example.com' }, { 'x-forwarded-for': '127.0.0.1' }, { via: '1.1 a' }])
      expect(await reload(server, { ...headers, 'x-api-key': KEY })).toBe('forbidden');
  });

  test('however its path is spelled', async () => {
    const server = await start(...adminKeys);
    for (const path of ['/admin/reload', '/%61dmin/reload', '/admin/%72eload?x=1', '/admin/targets/a/drain'])
      expect((await ask(`${server.url}${path}`, { method: 'POST' })).status, path).toBe(401);
  });

  test('wrong keys count like those of other routes: ten of an address are 401, then 429', async () => {
    const server = await start(...apiKeys, ...adminKeys);
    for (let count = 0; count < 5; count += 1) {
      expect(await reload(server, { 'x-api-key': `a-wrong-key-${count}` })).toBe('invalid_api_key');
      const other = await ask(`${server.url}/generate`, { body: BODY, ...withKey(`another-wrong-${count}`) });
      expect(other.status).toBe(401);
    }
    expect(await reload(server, { 'x-api-key': 'one-too-many' })).toBe('too_many_attempts');
    expect(await reload(server, { 'x-api-key': ADMIN })).toBe(200);
  });

  test('takes no body, and says which targets there are', async () => {
    const server = await start();
    const withBody = await ask(`${server.url}/admin/reload`, { body: { now: true } });
    expect(withBody.status).toBe(413);
    const unknown = await ask(`${server.url}/admin/targets/demo/drain`, { method: 'POST' });
    expect(unknown.json().error).toMatchObject({
      code: 'target_not_found',
      message: 'There is no target "demo". Targets: demo/scripted/0.',
    });
    const other = await ask(`${server.url}/admin/targets/demo/scripted/0/stop`, { method: 'POST' });
    expect(other.status).toBe(404);
    expect((await ask(`${server.url}/admin/reload`)).status).toBe(405);
  });
});
