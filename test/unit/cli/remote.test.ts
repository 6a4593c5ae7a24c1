import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { isCancelled, RemoteError, readAddress, remoteServer } from '../../../src/cli/remote.ts';
import { ConfigError } from '../../../src/config/config-error.ts';
import { ownPort } from '../../support/own-port.ts';

const NOTHING = { server: undefined, key: undefined };
const MARK = { 'x-response-time-ms': '1.00' };

it.each([
  [undefined, 'http://127.0.0.1:8000'],
  ['localhost:8000', 'http://localhost:8000'],
  ['gpu-1', 'http://gpu-1'],
  [':9000', 'http://127.0.0.1:9000'],
  ['0.0.0.0:9000', 'http://127.0.0.1:9000'],
  ['[::1]:9000', 'http://[::1]:9000'],
  ['https://example.com/llm/', 'https://example.com/llm'],
  ['http://localhost:8000/v1', 'http://localhost:8000'],
  ['https://example.com/llm/v1/', 'https://example.com/llm'],
  [' http://localhost:8000 ', 'http://localhost:8000'],
])('the server %s is asked at %s', (text, address) => {
  expect(readAddress(text)).toBe(address);
});

it.each([
  'ftp://host',
  'http://',
  'http://a b',
  '',
  'http://host?x=1',
  'http://host#x',
  'http://user:pass@host',
])('the address "%s" is rejected as wrong usage', (text) => {
  expect(() => readAddress(text)).toThrow(ConfigError);
  expect(() => readAddress(text)).toThrow('--server');
});

it('an address of the environment is rejected by the name of its variable', () => {
  expect(() => remoteServer(NOTHING, { server: 'ftp://host', key: undefined })).toThrow(
    'LLM_SERVE_SERVER is "ftp://host", but must be an http or https address, such as localhost:8000.',
  );
});

it('flags override the environment, and the key goes along as a Bearer token', async () => {
  const asked: (string | undefined)[] = [];
  const server = await serving((request, response) => {
    asked.push(request.headers.authorization, request.url);
    response.writeHead(200, MARK).end('{"ok":true}');
  });
  const environment = { server: 'http://127.0.0.1:1', key: 'of-the-environment' };
  const remote = remoteServer({ server: `${server}/prefix`, key: 'of-the-flag' }, environment);
  expect(await remote.json('/health')).toEqual({ ok: true });
  expect(asked).toEqual(['Bearer of-the-flag', '/prefix/health']);
});

it('a key that no header can carry is rejected without being shown', () => {
  const flags = { server: undefined, key: 'secret\nkey' };
  expect(() => remoteServer(flags, NOTHING)).toThrow(ConfigError);
  expect(() => remoteServer(flags, NOTHING)).not.toThrow('secret');
});

it('where nothing answers, the error says how a server is started', async () => {
  const { error, address } = await failing(`http://127.0.0.1:${await ownPort(onTestFinished)}`, (remote) =>
    remote.json('/health'),
  );
  expect(error).toMatchObject({ kind: 'unreachable' });
  expect(error.message).toBe(
    `No server answers at ${address} (connection refused). Start one with "llm-serve serve" ("npm start" in a clone), ` +
      'or name another with --server or LLM_SERVE_SERVER.',
  );
});

it.each<[string, RequestListener, string]>([
  ['another web server', (_, response) => response.writeHead(404).end('not found'), 'HTTP 404'],
  [
    'a redirect',
    (_, response) => response.writeHead(301, { location: 'https://example.com/' }).end(),
    'it redirects to https://example.com/',
  ],
  [
    'pages instead of JSON',
    (_, response) => response.writeHead(200, MARK).end('<p>'),
    'what it sent is no JSON',
  ],
  ['a server that does not speak HTTP', ({ socket }) => socket.end('220 mail\r\n'), 'it does not speak HTTP'],
])('%s is no llm-serve', async (_what, answer, how) => {
  const { error } = await failing(await serving(answer), (remote) => remote.json('/health'));
  expect(error).toMatchObject({ kind: 'foreign' });
  expect(error.message).toContain(`is no llm-serve (${how})`);
});

it('an error is in the server’s own words, with its code and when to try again', async () => {
  const server = await serving((_, response) => {
    response.writeHead(429, { ...MARK, 'retry-after': '7' });
    response.end('{"error":{"code":"rate_limited","message":"At most 60 requests."}}');
  });
  const { error } = await failing(server, (remote) => remote.events('/v1/chat/completions', { body: {} }));
  expect(error).toMatchObject({ kind: 'refused', status: 429, code: 'rate_limited', retryAfterSeconds: 7 });
  expect(error.message).toBe('At most 60 requests.');
});

it('a missing key is explained', async () => {
  const server = await serving((_, response) =>
    response.writeHead(401, MARK).end('{"error":{"code":"missing_api_key","message":"No key."}}'),
  );
  const { error } = await failing(server, (remote) => remote.json('/v1/models'));
  expect(error.message).toBe('No key. Give a key with LLM_SERVE_KEY or --key.');
});

it('a status that the caller accepts is an answer', async () => {
  const server = await serving((_, response) => response.writeHead(503, MARK).end('{"status":"not_ready"}'));
  const remote = remoteServer({ server, key: undefined }, NOTHING);
  expect(await remote.json('/ready', { accepts: [503] })).toEqual({ status: 'not_ready' });
});

it('events come in order, and a connection that is lost ends them with an error', async () => {
  const server = await serving((_, response) => {
    response.writeHead(200, MARK);
    response.write('data: {"a":1}\n\ndata: {"a":2}\n\n', () => response.destroy());
  });
  const remote = remoteServer({ server, key: undefined }, NOTHING);
  const events = await remote.events('/stream', { body: {} });
  const data: string[] = [];
  const reading = (async () => {
    for await (const event of events) data.push(event.data);
  })();
  await expect(reading).rejects.toMatchObject({
    kind: 'broken',
    message: `The connection to ${server} was lost.`,
  });
  expect(data).toEqual(['{"a":1}', '{"a":2}']);
});

it('a connection without a byte for longer than the reader waits is taken for lost', async () => {
  const server = await serving((_, response) => {
    response.writeHead(200, MARK);
    response.write('data: 1\n\n');
  });
  const remote = remoteServer({ server, key: undefined }, NOTHING);
  const events = await remote.events('/live', { silentForMs: 50 });
  const reading = (async () => {
    for await (const { data } of events) expect(data).toBe('1');
  })();
  await expect(reading).rejects.toMatchObject({ kind: 'broken' });
});

it('a question that the caller cancels rejects with its reason, before and within the answer', async () => {
  const server = await serving((request, response) => {
    if (request.url === '/silent') return;
    response.writeHead(200, MARK);
    response.write('data: 1\n\n');
  });
  const remote = remoteServer({ server, key: undefined }, NOTHING);
  const early = new AbortController();
  const asking = remote.events('/silent', { signal: early.signal });
  early.abort();
  expect(isCancelled(await asking.catch((error: unknown) => error))).toBe(true);
  const late = new AbortController();
  const reading = (async () => {
    for await (const _ of await remote.events('/live', { signal: late.signal })) late.abort();
  })();
  expect(isCancelled(await reading.catch((error: unknown) => error))).toBe(true);
});

it('a reader that leaves closes the connection', async () => {
  let closed = () => {};
  const closing = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const server = await serving((_, response) => {
    response.once('close', closed);
    response.writeHead(200, MARK);
    response.write('data: 1\n\n');
  });
  for await (const _ of await remoteServer({ server, key: undefined }, NOTHING).events('/live')) break;
  await closing;
});

async function failing(
  server: string,
  ask: (remote: ReturnType<typeof remoteServer>) => Promise<unknown>,
): Promise<{ readonly error: RemoteError; readonly address: string }> {
  const error = await ask(remoteServer({ server, key: undefined }, NOTHING)).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RemoteError);
  return { error: error as RemoteError, address: server };
}

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
