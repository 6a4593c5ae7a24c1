/** Clients put a version or a beta behind the path of any route: no answer depends on it. */
import { beforeAll, expect, test } from 'vitest';
import { PROTOCOLS } from '../../src/protocols/catalog.ts';
import { ask } from '../support/http-client.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const QUERIES = ['?beta=true', '?api-version=2024-10-21&limit=1000', '?', '?%zz&&=&a[]=1'];
const MESSAGES = { model: 'demo', max_tokens: 2, messages: [{ role: 'user', content: 'hi' }] };
const OTHERS = ['/', '/health', '/ready', '/metrics', '/openapi.json'].map((path) => ({
  method: 'GET',
  path,
  body: undefined,
}));
const ROUTES = PROTOCOLS.flatMap(({ routes }) =>
  routes.map(({ method, path }) => ({
    method,
    path: path.replace('*', 'demo'),
    body: method === 'POST' ? {} : undefined,
  })),
);
const SERVED = ['/generate', '/stream', '/v1/chat/completions', '/v1/messages', '/api/chat'].map((path) => ({
  method: 'POST',
  path,
  body: path.includes('/', 1) ? MESSAGES : { prompt: 'hi', max_tokens: 2 },
}));

const endsWith = endingAfterAll();
let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ flags: scriptedFlags(), endsWith });
});

test.each([...SERVED, ...ROUTES, ...OTHERS])('$method $path: $body', async ({ method, path, body }) => {
  const statusOf = async (query: string) =>
    (await ask(`${server.url}${path}${query}`, { method, ...(body !== undefined && { body }) })).status;
  const status = await statusOf('');
  for (const query of QUERIES) expect(await statusOf(query), query).toBe(status);
});
