/** Limits through the whole server: who is held to what, what counts, and what was used by those who left or failed. */
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { farFromMidnight } from '../support/calendar.ts';
import { whenEachAnswers } from '../support/each-worker.ts';
import { type Answer, ask, openAnswer } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, startServer } from '../support/server.ts';

const ADMIN = 'the-admin-key-1';
const withKey = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

function start(flags: readonly string[]): Promise<ComposedServer> {
  return startServer({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
}

const flag = (name: string, value: unknown) => [`--${name}`, JSON.stringify(value)];

/** Words of a prompt and of an answer; the model counts them as tokens. */
const generate = (server: ComposedServer, more: object = {}, options: object = {}): Promise<Answer> =>
  ask(`${server.url}/generate`, { body: { prompt: 'hi', max_tokens: 1, ...more }, ...options });

/** What a limit has left, by its name in the RateLimit header. */
function left({ headers }: Pick<Answer, 'headers'>, name: string): number | undefined {
  const found = new RegExp(`"${name}";r=(\\d+)`).exec(String(headers.ratelimit));
  return found?.[1] === undefined ? undefined : Number(found[1]);
}

async function createKey(server: ComposedServer, fields: object): Promise<string> {
  const answer = await ask(`${server.url}/admin/keys`, { ...withKey(ADMIN), body: fields });
  expect(answer.status, answer.text).toBe(201);
  return answer.json<{ key: string }>().key;
}

/** What the prompt is estimated at, with what a chat template puts around a message; the model counts 1. */
const ESTIMATED = 5;

/** The server has seen that there are keys, and these, in each of its processes. */
async function untilShut(server: ComposedServer, ...keys: readonly string[]): Promise<void> {
  await whenEachAnswers(server, '/v1/models', 401);
  for (const key of keys) await whenEachAnswers(server, '/v1/models', 200, withKey(key));
}

const withAdmin = flag('auth.admin-keys', [ADMIN]);

describe('a key', () => {
  test('is held to its own limit, and others to theirs, whatever their address', async () => {
    const server = await start([...withAdmin, ...flag('limits.per-key', { requests_per_minute: 2 })]);
    const alice = await createKey(server, { name: 'alice', limits: { requests_per_minute: 3 } });
    const bob = await createKey(server, { name: 'bob' });
    const statuses = async (key: string, count: number) => {
      const answers: Answer[] = [];
      for (let index = 0; index < count; index += 1) answers.push(await generate(server, {}, withKey(key)));
      return answers;
    };
    await untilShut(server, alice, bob);
    expect((await statuses(alice, 4)).map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect((await statuses(bob, 3)).map(({ status }) => status)).toEqual([200, 200, 429]);
    const refused = await generate(server, {}, withKey(alice));
    expect(refused.json<{ error: { code: string; message: string } }>().error).toMatchObject({
      code: 'rate_limited',
      message: expect.stringMatching(
        /^The limit requests_per_minute of the key alice is reached: 3 requests in any 60 seconds\. Retry in \d+ s\.$/,
      ),
    });
    const states = await ask(`${server.url}/admin/limits`, withKey(ADMIN));
    expect(states.json<{ limits: object[] }>().limits).toContainEqual({
      scope: 'key:alice',
      name: 'requests_per_minute',
      limit: 3,
      remaining: 0,
      resets_at: expect.any(String),
    });
    const unknown = await ask(`${server.url}/admin/limits?after=key_unknown`, withKey(ADMIN));
    expect(unknown.status).toBe(400);
    expect(unknown.json<{ error: { param: string } }>().error.param).toBe('after');
  });

  test('is listed page by page, with its team, the server and the models: what is joined has each limit once', async () => {
    const server = await start([
      ...withAdmin,
      ...flag('limits.all', { requests_per_day: 100 }),
      ...flag('limits.per-model', { concurrent_requests: 4 }),
      ...flag('limits.per-key', { requests_per_minute: 2 }),
      ...flag('limits.teams', { red: { tokens_per_day: 40 }, blue: { tokens_per_day: 40 } }),
    ]);
    const teams = { ann: 'red', ben: 'blue', cid: 'red', dan: undefined, eve: 'blue' };
    for (const [name, team] of Object.entries(teams))
      await createKey(server, { name, ...(team !== undefined && { team }) });
    await untilShut(server);
    const pageOf = async (query: string) => {
      const answer = await ask(`${server.url}/admin/limits?${query}`, withKey(ADMIN));
      const { limits, next } = answer.json<{
        limits: { scope: string; name: string }[];
        next: string | null;
      }>();
      return { limits: limits.map(({ scope, name }) => `${scope} ${name}`), next };
    };
    const joinedBy = async (perPage: number) => {
      const joined: string[] = [];
      for (let query = `limit=${perPage}`; ; ) {
        const { limits, next } = await pageOf(query);
        const ofKeys = limits.filter((limit) => limit.startsWith('key:'));
        expect(ofKeys.length).toBeLessThanOrEqual(perPage);
        joined.push(...limits);
        if (next === null) return joined.sort();
        query = `limit=${perPage}&after=${next}`;
      }
    };
    // The keys made last may not be known everywhere yet.
    await vi.waitFor(
      async () => {
        const whole = await joinedBy(1000);
        expect(whole).toHaveLength(1 + 1 + 2 + 5);
        expect(new Set(whole).size).toBe(whole.length);
        for (const perPage of [1, 2, 4]) expect(await joinedBy(perPage)).toEqual(whole);
      },
      { timeout: 120_000 },
    );
  });

  test('shares what its team may use', async () => {
    await farFromMidnight();
    const server = await start([
      ...withAdmin,
      ...flag('limits.teams', { red: { token_budget_per_day: 40 } }),
    ]);
    const one = await createKey(server, { name: 'one', team: 'red' });
    const other = await createKey(server, { name: 'other', team: 'red' });
    await untilShut(server, one, other);
    expect((await generate(server, { max_tokens: 30 }, withKey(one))).status).toBe(200);
    const refused = await generate(server, { max_tokens: 30 }, withKey(other));
    expect(refused.status).toBe(429);
    expect(refused.headers['x-reject-reason']).toBe('budget_exceeded');
    expect(refused.headers['x-should-retry']).toBe('false');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(refused.json<{ error: { message: string } }>().error.message).toMatch(
      /token_budget_per_day of the team red .* It begins anew at \d{4}-\d\d-\d\dT00:00:00Z\.$/,
    );
  });
});

test('a budget that answers under way hold is free as soon as they end, and refusals until then say so', async () => {
  await farFromMidnight();
  const server = await start(flag('limits.all', { token_budget_per_day: 1000 }));
  const script = { text: 'one two three', fail: 'hang-mid-stream', fail_after_tokens: 1 };
  const underWay = await openAnswer(`${server.url}/stream`, {
    body: { prompt: scripted(script), max_tokens: 800 },
  });
  await underWay.until((text) => text.includes('one'));
  const refused = await generate(server, { max_tokens: 300 });
  expect(refused.status).toBe(429);
  expect(refused.headers['retry-after']).toBe('1');
  expect(refused.headers['x-reject-reason']).toBe('rate_limited');
  expect(refused.headers['x-should-retry']).toBeUndefined();
  expect(refused.headers.ratelimit).toMatch(/^"all.token_budget_per_day";r=\d+;t=1$/);
  const { code, message } = refused.json().error;
  expect(code).toBe('rate_limited');
  expect(message).toMatch(
    /^The limit token_budget_per_day of this server is too low for the request now: .* Retry in 1 s\.$/,
  );
  underWay.leave();
  await expect.poll(async () => (await generate(server, { max_tokens: 300 })).status).toBe(200);
});

describe('tokens', () => {
  test('are those that were used, once the answer is there: a bound that was not used up is given back', async () => {
    const server = await start(flag('limits.all', { tokens_per_hour: 1000 }));
    const first = await generate(server, { max_tokens: 500 });
    expect(left(first, 'all.tokens_per_hour')).toBe(500 - ESTIMATED);
    const { usage } = first.json<{ usage: { total_tokens: number } }>();
    const second = await generate(server, { max_tokens: 1 });
    expect(left(second, 'all.tokens_per_hour')).toBe(1000 - usage.total_tokens - ESTIMATED - 1);
  });

  test('of a request that fails, is refused by the queue or never reached a model are not counted', async () => {
    const server = await start([
      ...flag('limits.all', { tokens_per_hour: 1000, requests_per_hour: 100 }),
      '--scheduler.max-queue',
      '1',
    ]);
    expect((await generate(server, { model: 'none' })).status).toBe(404);
    expect((await generate(server, { temperature: 9 })).status).toBe(400);
    const answer = await generate(server);
    expect(left(answer, 'all.tokens_per_hour')).toBe(1000 - ESTIMATED - 1);
    expect(left(answer, 'all.requests_per_hour'), 'the requests count').toBe(97);
  });

  test('are counted for each of several answers', async () => {
    const server = await start(flag('limits.all', { tokens_per_hour: 1000 }));
    const answer = await ask(`${server.url}/v1/completions`, {
      body: { model: 'demo', prompt: 'hi', max_tokens: 10, n: 3 },
    });
    expect(answer.status).toBe(200);
    expect(left(answer, 'all.tokens_per_hour')).toBe(1000 - 3 * 11);
  });

  test('of an embedding are those of its texts', async () => {
    const server = await start(flag('limits.all', { tokens_per_hour: 1000 }));
    const body = { model: 'demo', input: ['one two three', 'four'] };
    expect((await ask(`${server.url}/v1/embeddings`, { body })).status).toBe(200);
    expect(left(await generate(server), 'all.tokens_per_hour')).toBe(1000 - 4 - ESTIMATED - 1);
  });
});

describe('what counts', () => {
  test('a refused body, a wrong type and a preflight do not; an unknown model does', async () => {
    const server = await start(flag('limits.per-address', { requests_per_hour: 10 }));
    const url = `${server.url}/generate`;
    for (const type of ['application/json', 'text/plain'])
      await (await fetch(url, { method: 'POST', body: '{', headers: { 'content-type': type } })).text();
    await ask(url, {
      method: 'OPTIONS',
      headers: { origin: 'http://localhost:3000', 'access-control-request-method': 'POST' },
    });
    expect(left(await generate(server), 'address.requests_per_hour')).toBe(9);
    expect((await generate(server, { model: 'none' })).status).toBe(404);
    expect(left(await generate(server), 'address.requests_per_hour')).toBe(7);
  });

  test('what is refused says so whatever else is wrong with it, and tells of no wait for a slot', async () => {
    const server = await start(flag('limits.all', { requests_per_hour: 1 }));
    expect((await generate(server)).status).toBe(200);
    const wrong = [
      {},
      { temperature: 9 },
      { model: 'none' },
      { priority: 'low' },
      { prompt: 'x'.repeat(5000) },
    ];
    for (const fields of wrong) {
      const { status, headers } = await generate(server, fields);
      expect(status, JSON.stringify(fields)).toBe(429);
      expect([headers['server-timing'], headers['x-request-priority']]).toEqual([undefined, undefined]);
      const line = await server.logged(({ requestId }) => requestId === headers['x-request-id']);
      const { errorCode, model, queueMs } = line;
      expect([errorCode, model, queueMs]).toEqual(['rate_limited', undefined, undefined]);
    }
  });

  test('what is refused while its body is on its way is answered at once, and its connection serves on', async () => {
    const server = await start(flag('limits.all', { requests_per_hour: 1 }));
    expect((await generate(server)).status).toBe(200);
    const body = JSON.stringify({ prompt: 'x'.repeat(1000) });
    const [half, rest] = [body.slice(0, 500), body.slice(500)];
    const socket = connect(server.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let received = '';
    socket.setEncoding('utf8').on('data', (piece: string) => {
      received += piece;
    });
    const head = `POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    socket.write(head + half);
    await expect.poll(() => received).toContain('rate_limited');
    expect(received.toLowerCase()).not.toContain('connection: close');
    socket.write(rest + head + body);
    await expect.poll(() => received.match(/HTTP\/1\.1 429/g)).toHaveLength(2);
  });

  test('requests at the same time: one has ended when its answer was sent', async () => {
    const server = await start(flag('limits.all', { concurrent_requests: 1 }));
    for (let count = 0; count < 3; count += 1) expect((await generate(server)).status).toBe(200);
    const both = await Promise.all([
      generate(server, { max_tokens: 400 }),
      generate(server, { max_tokens: 400 }),
    ]);
    const statuses = both.map(({ status }) => status);
    expect(statuses).toContain(200);
    expect((await generate(server)).status).toBe(200);
  });
});

describe('a reload', () => {
  test('puts other limits in force at once, and forgets nothing that was counted', async () => {
    const file = (requests: number) =>
      `limits: { all: { requests_per_hour: ${requests}, tokens_per_hour: 1000 } }`;
    const server = await startServer({
      flags: scriptedFlags(),
      configFile: file(5),
      endsWith: onTestFinished,
    });
    await generate(server);
    await generate(server);
    server.reconfigure({ configFile: file(3) });
    const reloaded = await ask(`${server.url}/admin/reload`, { method: 'POST' });
    expect(reloaded.status, reloaded.text).toBe(200);
    expect(left(await generate(server), 'all.requests_per_hour')).toBe(0);
    expect((await generate(server)).status).toBe(429);
  });
});

describe('money', () => {
  test('is counted by the prices of the models, and a budget is spent by what was used', async () => {
    await farFromMidnight();
    const server = await start([
      ...flag('prices.models', { demo: { prompt: 0, completion: 1_000_000 } }),
      ...flag('limits.all', { budget_per_day: 12 }),
    ]);
    expect((await generate(server, { max_tokens: 10 })).status).toBe(200);
    const refused = await generate(server, { max_tokens: 3 });
    expect(refused.json<{ error: { code: string; message: string } }>().error).toMatchObject({
      code: 'budget_exceeded',
      message: expect.stringContaining(
        '12 USD per UTC day. Left beside what requests under way may use: 2 USD; this one may use 3 USD, less with a smaller bound of the answer. It begins anew at',
      ),
    });
    expect((await generate(server, { max_tokens: 2 })).status).toBe(200);
    expect((await generate(server, { max_tokens: 1 })).status).toBe(429);
  });
});
