import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import type { Along } from '../../../src/core/backend.ts';
import { ServingError } from '../../../src/core/errors.ts';
import { systemClock } from '../../../src/system-clock.ts';
import { Upstream } from '../../../src/upstream/upstream.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

type Handler = Parameters<typeof createServer>[1];

async function serve(handler: Handler): Promise<{ url: string; connections: () => number }> {
  let connections = 0;
  const server = createServer(handler as NonNullable<Handler>);
  server.on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endings.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
  };
}

function upstream(url: string): Upstream {
  const made = new Upstream({
    url,
    connectTimeoutMs: 30_000,
    clock: systemClock,
    headers: { 'x-test': 'yes' },
  });
  endings.push(() => made.close());
  return made;
}

/** undici has a connection free again a turn after its answer. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** What has been written on one side has been read on the other. */
async function aFewTurns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
}

const get = (path: string, signal = new AbortController().signal) => ({
  method: 'GET' as const,
  path,
  signal,
});

it('puts the address’ own path before each request’s, sends its headers, and reads JSON', async () => {
  const { url } = await serve((request, response) =>
    response.end(JSON.stringify([request.url, request.headers['x-test']])),
  );
  const answer = await upstream(`${url}/prefix/`).json(get('/v1/models'));
  expect(answer).toMatchObject({ status: 200, body: ['/prefix/v1/models', 'yes'] });
});

function along(hops: string | undefined): Along {
  const trace = { traceparent: undefined, tracestate: undefined };
  return {
    requestId: 'req_1',
    hops,
    ...trace,
    client: 'c',
    priority: 'normal',
    receivedAt: 0,
    deadlineAt: undefined,
  };
}

it('names this instance behind those that the request came through', async () => {
  const { url } = await serve((request, response) =>
    response.end(JSON.stringify([request.headers['x-llm-serve-hops'], request.headers['content-type']])),
  );
  const client = new Upstream({ url, connectTimeoutMs: 30_000, clock: systemClock, instanceId: 'own' });
  endings.push(() => client.close());
  const sent = async (call: object) => (await client.json({ ...get('/'), ...call })).body;
  expect(await sent({})).toEqual(['own', null]);
  expect(await sent({ along: along('one, two') })).toEqual(['one, two, own', null]);
  expect(await sent({ method: 'POST', body: {}, along: along('one') })).toEqual([
    'one, own',
    'application/json',
  ]);
  expect(await sent({ method: 'POST', body: {} })).toEqual(['own', 'application/json']);
});

it('sends the id and the trace of the request that causes the call, and of no other', async () => {
  const { url } = await serve(({ headers }, response) =>
    response.end(JSON.stringify([headers['x-request-id'], headers.traceparent, headers.tracestate])),
  );
  const client = upstream(url);
  const sent = async (call: object) => (await client.json({ ...get('/'), ...call })).body;
  const traced = { ...along(undefined), traceparent: '00-1-2-01', tracestate: 'a=1' };
  const headers = ['x-own', 'yes'];
  expect(await sent({ along: traced, headers })).toEqual(['req_1', '00-1-2-01', 'a=1']);
  expect(await sent({ along: along(undefined) })).toEqual(['req_1', null, null]);
  expect(await sent({})).toEqual([null, null, null]);
});

it('uses connections again', async () => {
  const { url, connections } = await serve((_request, response) => response.end('{}'));
  const client = upstream(url);
  for (let turn = 0; turn < 20; turn += 1) await client.json(get('/'));
  // undici may open a second one when the next request follows in the same turn.
  expect(connections()).toBeLessThanOrEqual(2);
});

it('says not available, and when to try again, when the connection is refused', async () => {
  await expect(upstream('http://127.0.0.1:1').json(get('/'))).rejects.toMatchObject({
    code: 'no_backend_available',
    retryAfterSeconds: 1,
  });
});

it('says not available when the name does not resolve', async () => {
  await expect(upstream('http://nobody.invalid').json(get('/'))).rejects.toMatchObject({
    code: 'no_backend_available',
  });
});

it('says that the backend failed when the answer is cut', async () => {
  const { url } = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"half":', () => response.socket?.destroy());
  });
  await expect(upstream(url).json(get('/'))).rejects.toMatchObject({ code: 'backend_error' });
});

it('rejects at once with the reason of an abort, before and after the headers, and closes the socket', async () => {
  let arrived = 0;
  let closed = 0;
  const { url } = await serve((request, response) => {
    arrived += 1;
    response.on('close', () => (closed += 1));
    if (request.url === '/headers') response.writeHead(200).flushHeaders();
  });
  const client = upstream(url);
  const reason = new ServingError('client_gone');
  for (const path of ['/silent', '/headers']) {
    const controller = new AbortController();
    const failure = client.json(get(path, controller.signal)).catch((thrown: unknown) => thrown);
    const before = arrived;
    await expect.poll(() => arrived).toBe(before + 1);
    await aFewTurns();
    controller.abort(reason);
    expect(await failure).toBe(reason);
  }
  await expect.poll(() => closed).toBe(2);
});

it('hands out what came before its reader was there, and the failure of that reader', async () => {
  const { url } = await serve((_request, response) => response.end('all at once'));
  const exchange = await upstream(url).open(get('/'), () => {});
  await aFewTurns();
  const failure = new ServingError('backend_error');
  const reading = exchange.read(() => {
    throw failure;
  });
  await expect(reading).rejects.toBe(failure);
});

it('lets go of an answer whose reader has all it needs, and keeps the connection when it ends soon', async () => {
  let end = () => {};
  const { url, connections } = await serve((_request, response) => {
    response.write('enough');
    end = () => void response.end();
  });
  const client = upstream(url);
  const exchange = await client.open(get('/'), () => {});
  await exchange.read(() => exchange.finish());
  end();
  await aFewTurns();
  await client.open(get('/'), () => {});
  expect(connections()).toBe(1);
});

it('fails what is under way when it is closed, and what comes later', async () => {
  const { url } = await serve(() => {});
  const client = upstream(url);
  const pending = client.json(get('/')).catch((thrown: unknown) => thrown);
  await aFewTurns();
  await client.close();
  expect(await pending).toBeInstanceOf(ServingError);
  await expect(client.json(get('/'))).rejects.toMatchObject({ code: 'draining' });
});

/** Closes the connection of each request that `loses` names by its number, as it arrives and without a byte. */
async function serveLosing(loses: (request: number) => boolean) {
  let requests = 0;
  const bodies: string[] = [];
  const { url } = await serve(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    requests += 1;
    bodies.push(body);
    if (loses(requests)) request.socket.resetAndDestroy();
    else response.end('{}');
  });
  return { url, bodies, requests: () => requests };
}

const post = (body: unknown) => ({ ...get('/'), method: 'POST' as const, body });

it('sends once more what was lost on a kept connection that the server had closed', async () => {
  const { url, bodies } = await serveLosing((request) => request === 2);
  const client = upstream(url);
  await client.json(post({ turn: 1 }));
  await nextTurn();
  expect(await client.json(post({ turn: 2 }))).toMatchObject({ status: 200 });
  expect(bodies).toEqual(['{"turn":1}', '{"turn":2}', '{"turn":2}']);
});

it('sends it once more at most', async () => {
  const { url, requests } = await serveLosing((request) => request > 1);
  const client = upstream(url);
  await client.json(post({}));
  await nextTurn();
  await expect(client.json(post({}))).rejects.toMatchObject({ code: 'backend_error' });
  expect(requests()).toBe(3);
});

it('does not send again what was lost on a new connection: the server may have begun', async () => {
  const { url, requests } = await serveLosing(() => true);
  await expect(upstream(url).json(post({}))).rejects.toMatchObject({ code: 'backend_error' });
  expect(requests()).toBe(1);
});

it('does not send again what was lost after the first byte of its answer', async () => {
  let requests = 0;
  const { url } = await serve((request, response) => {
    requests += 1;
    if (requests === 1) response.end('{}');
    else response.socket?.write('HTTP/1.1 200', () => request.socket.resetAndDestroy());
  });
  const client = upstream(url);
  await client.json(post({}));
  await nextTurn();
  await expect(client.json(post({}))).rejects.toMatchObject({ code: 'backend_error' });
  expect(requests).toBe(2);
});

it('does not send again what a server has kept for a while before it failed', async () => {
  let requests = 0;
  const clock = new FakeClock();
  const { url } = await serve(async (request, response) => {
    requests += 1;
    if (requests === 1) {
      response.end('{}');
      return;
    }
    await clock.advance(1001);
    request.socket.resetAndDestroy();
  });
  const client = new Upstream({ url, connectTimeoutMs: 30_000, clock });
  endings.push(() => client.close());
  await client.json(post({}));
  await nextTurn();
  await expect(client.json(post({}))).rejects.toMatchObject({ code: 'backend_error' });
  expect(requests).toBe(2);
});
