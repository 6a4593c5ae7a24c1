/** Bodies as large as they may be, larger than that, and packed: on every POST route, in its protocol's words. */
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { PROTOCOLS } from '../../src/protocols/catalog.ts';
import type { Protocol } from '../../src/protocols/protocol.ts';
import { fetchDescription, undescribed } from '../support/api-description.ts';
import { startExecutable } from '../support/executable.ts';
import { ask, exchangeBytes, type RawAnswer } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer } from '../support/server.ts';

const MEBIBYTE = 1_048_576;
const SETTING: Readonly<Record<Protocol['bodyLimit'], string>> = {
  text: 'server.body_limit_bytes',
  media: 'server.media_body_limit_bytes',
};
const ROUTES = PROTOCOLS.flatMap(({ routes, bodyLimit }) =>
  routes.filter(({ method }) => method === 'POST').map(({ path }) => ({ path, bodyLimit })),
);

const ends = endingAfterAll();
let server: RunningServer;
beforeAll(async () => {
  // In a process of its own: it has two seconds to read on after a refusal, which it would share with this client here.
  const patient = ['--server.body-timeout-seconds', '300'];
  server = await startExecutable({ flags: [...scriptedFlags(), ...patient], endsWith: ends });
});

test.each(ROUTES)('a packed body to $path is a 415 that says so', async ({ path }) => {
  const answer = await post(path, gzipSync('{"model":"demo"}'), { 'Content-Encoding': 'gzip' });
  expect(answer.status).toBe(415);
  expect(answer.body).toContain('content-encoding');
});

test('a body of 25 MB is a 413 that names the limit, though it never comes', async () => {
  const answers = ROUTES.map(async ({ path, bodyLimit }) => {
    const answer = await post(path, '{', { 'Content-Length': String(25 * MEBIBYTE) });
    expect(answer.status).toBe(413);
    expect(answer.body).toContain(`(${SETTING[bodyLimit]})`);
  });
  await Promise.all(answers);
});

const LARGE = scripted({ text: 'well' }, 'a'.repeat(10 * MEBIBYTE));
const messages = [{ role: 'user', content: LARGE }];
const FORMS: Readonly<Record<string, object>> = {
  '/generate': { prompt: LARGE },
  '/stream': { messages },
  '/v1/chat/completions': { model: 'demo', messages },
  '/v1/completions': { model: 'demo', prompt: LARGE },
  '/v1/responses': { model: 'demo', input: LARGE },
  '/v1/messages': { model: 'demo', max_tokens: 5, messages },
  '/api/chat': { model: 'demo', messages, stream: false },
  '/api/generate': { model: 'demo', prompt: LARGE, stream: false },
};

test.each(Object.entries(FORMS))(
  '10 MB to %s are read where pictures may come along, else a 413',
  async (path, body) => {
    const { bodyLimit } = ROUTES.find((route) => route.path === path) ?? {};
    const answer = await ask(`${server.url}${path}`, { body });
    expect(answer.status).toBe(bodyLimit === 'media' ? 200 : 413);
    if (bodyLimit === 'media') expect(answer.text).toContain('well');
  },
);

test.each(
  PROTOCOLS.map(({ name, routes }) => [name, routes.find(({ method }) => method === 'POST')?.path ?? '']),
)('25 MB that are really sent to %s get their answer too', async (_, path) => {
  const answer = await ask(`${server.url}${path}`, { body: { prompt: 'a'.repeat(25 * MEBIBYTE) } });
  expect(answer.status).toBe(413);
});

async function post(
  path: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>>,
): Promise<RawAnswer> {
  const head = {
    Host: `127.0.0.1:${server.port}`,
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
    ...headers,
  };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
  const bytes = Buffer.concat([
    Buffer.from(`${[`POST ${path} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`),
    Buffer.from(body),
  ]);
  const answer = await exchangeBytes(server.port, bytes);
  expect(undescribed(await fetchDescription(server), { method: 'POST', path }, answer)).toEqual([]);
  return answer;
}
