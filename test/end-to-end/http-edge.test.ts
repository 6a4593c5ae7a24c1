/** What arrives at the socket and is no proper request, answered like everything else: a code, an id, a time. */
import { createConnection } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { ask, exchangeBytes, generate, metric, type RawAnswer } from '../support/http-client.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const endsWith = endingAfterAll();
let server: RunningServer;
/** What does not come in a second does not come. */
let hasty: RunningServer;
beforeAll(async () => {
  server = await startServer({ flags: scriptedFlags(), endsWith });
  hasty = await startServer({
    flags: [...scriptedFlags(), '--server.body-timeout-seconds', '1'],
    endsWith,
  });
});

function expectError(answer: RawAnswer, status: number, code: string): void {
  expect(answer.status, answer.body).toBe(status);
  expect(answer.header('content-type')).toBe('application/json; charset=utf-8');
  expect(answer.header('x-request-id')).toMatch(/^req_[0-9a-f]{24}$/);
  expect(answer.header('x-response-time-ms')).toMatch(/^\d+\.\d\d$/);
  const { error } = JSON.parse(answer.body) as { error: Record<string, unknown> };
  expect(error).toEqual({
    code,
    message: expect.any(String),
    param: null,
    request_id: answer.header('x-request-id'),
  });
}

describe('bytes that are no request', () => {
  test.each([
    ['no HTTP at all', 'hello there\r\n\r\n'],
    ['a method that does not exist', 'BREW /generate HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a header without a colon', 'GET /health HTTP/1.1\r\nHost localhost\r\n\r\n'],
    [
      'two lengths that contradict each other',
      'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    ],
    [
      'a length and chunks at once',
      'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'a chunk whose size is no number',
      'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
    ],
    ['the first bytes of TLS', Buffer.from('1603010200010001fc0303', 'hex')],
  ])('%s is a 400 malformed_http', async (_, bytes) => {
    expectError(await exchangeBytes(server.port, bytes), 400, 'malformed_http');
  });

  test('headers above 16 KiB are a 431', async () => {
    const bytes = `GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`;
    expectError(await exchangeBytes(server.port, bytes), 431, 'headers_too_large');
  });

  test('headers that do not end in time are a 408', async () => {
    const bytes = 'GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ';
    expectError(await exchangeBytes(hasty.port, bytes), 408, 'request_timeout');
  });

  test('a body that does not arrive in time is a 408', async () => {
    const startedAt = performance.now();
    const bytes =
      'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"prompt"';
    expectError(await exchangeBytes(hasty.port, bytes), 408, 'request_timeout');
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });

  test('a body that does not arrive is one line in the log, under the id its client was told', async () => {
    const bytes =
      'POST /generate HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: slow-body\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{';
    const answer = await exchangeBytes(hasty.port, bytes);
    expect(answer.header('x-request-id')).toBe('slow-body');
    expect(await hasty.requestLine('slow-body')).toMatchObject({
      status: 408,
      path: '/generate',
      errorCode: 'request_timeout',
    });
    expect(hasty.logs().filter(({ requestId }) => requestId === 'slow-body')).toHaveLength(1);
  });

  test('garbage behind a request whose stream has begun is answered when all of the stream has left', async () => {
    const body = JSON.stringify({ prompt: '{"script":{"token_delay_ms":20,"tokens":50}}\nword' });
    const socket = createConnection(server.port, '127.0.0.1');
    let received = '';
    socket.setEncoding('utf8');
    socket.write(
      `POST /stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    socket.on('data', (text: string) => {
      if (received === '') socket.write('\u0001 no http at all\r\n\r\n');
      received += text;
    });
    await new Promise((resolve) => socket.once('close', resolve));
    const [stream, error] = received.split('\r\n0\r\n\r\n');
    expect(stream).toContain('HTTP/1.1 200');
    expect(stream).toContain('[DONE]');
    expect(error).toMatch(/^HTTP\/1\.1 400/);
  });

  test('a connection that was answered so is closed, also when its client leaves it open', async () => {
    const socket = createConnection({ port: hasty.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.write('garbage\r\n\r\n');
    socket.resume();
    const startedAt = performance.now();
    await new Promise((resolve) =>
      socket
        .once('close', resolve)
        .once('error', () => {})
        .once('end', () => {
          // Our side stays open: the server has to end it, which shows at the next write.
          const probe = setInterval(() => socket.write('x'), 100);
          socket.once('close', () => clearInterval(probe));
        }),
    );
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });

  test('a connection that says nothing is closed without an answer', async () => {
    const socket = createConnection(hasty.port, '127.0.0.1');
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    await new Promise((resolve) => socket.once('close', resolve));
    expect(bytes).toBe(0);
  });
});

describe('requests with something odd', () => {
  test('without a Host it is a 400', async () => {
    const bytes = 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n';
    expectError(await exchangeBytes(server.port, bytes), 400, 'malformed_http');
  });

  test.each([
    ['two different Hosts', 'GET /health HTTP/1.1\r\nHost: localhost\r\nHost: example.org\r\n\r\n'],
    ['the same Host twice', 'GET /health HTTP/1.1\r\nHost: localhost\r\nHOST: localhost\r\n\r\n'],
    ['two Hosts in HTTP/1.0', 'GET /health HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n'],
    ['HTTP/0.9', 'GET /health\r\n\r\n'],
    ['HTTP/0.9 that names itself', 'GET /health HTTP/0.9\r\nHost: localhost\r\n\r\n'],
    ['HTTP/1.2', 'GET /health HTTP/1.2\r\nHost: localhost\r\n\r\n'],
    ['HTTP/2.0', 'GET /health HTTP/2.0\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('%s is a 400', async (_, bytes) => {
    expectError(await exchangeBytes(server.port, bytes), 400, 'malformed_http');
  });

  test.each(['%2e%2e/x', '../x', '..%2f..%2fx', '%00', '.hidden', 'nothing.css'])(
    'GET /docs/static/%s is a 404',
    async (path) => {
      const bytes = `GET /docs/static/${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
      expectError(await exchangeBytes(server.port, bytes), 404, 'not_found');
    },
  );

  test('HTTP/1.0 needs no Host', async () => {
    const answer = await exchangeBytes(server.port, 'GET /health HTTP/1.0\r\n\r\n');
    expect(answer.status).toBe(200);
    expect(answer.header('x-request-id')).toMatch(/^req_/);
  });

  test('Expect: 100-continue is answered, then the request itself', async () => {
    const body = '{"prompt":"hi","max_tokens":1}';
    const answer = await exchangeBytes(
      server.port,
      `POST /generate HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    expect(answer.statusLine).toBe('HTTP/1.1 100 Continue');
    expect(answer.body).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer.body).toMatch(/x-request-id: req_/i);
  });

  test.each([
    ['too large', '/generate', 'application/json', 30_000_000, 413],
    ['of another type', '/generate', 'text/plain', 20, 415],
    ['for nobody', '/nothing', 'application/json', 20, 404],
    ['behind a second Host', '/generate', 'application/json\r\nHost: localhost', 20, 400],
  ])(
    'Expect: 100-continue with a body %s is answered at once, without a 100',
    async (_, path, type, length, status) => {
      // A body that is announced without Expect is read on for two seconds, each time; other work may hold up some.
      let quickestMs = Number.POSITIVE_INFINITY;
      for (let tried = 0; tried < 20 && quickestMs > 1900; tried += 1) {
        const startedAt = performance.now();
        const answer = await exchangeBytes(
          server.port,
          `POST ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`,
        );
        quickestMs = Math.min(quickestMs, performance.now() - startedAt);
        expect(answer.status, answer.body).toBe(status);
        expect(answer.header('connection')).toBe('close');
      }
      expect(quickestMs).toBeLessThan(1900);
    },
  );

  test('Expect: 100-continue in HTTP/1.0 is ignored: its client knows no 100', async () => {
    const body = '{"prompt":"hi","max_tokens":1}';
    const answer = await exchangeBytes(
      server.port,
      `POST /generate HTTP/1.0\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(answer.status, answer.statusLine).toBe(200);
  });

  test('an expectation that nobody knows is no reason to refuse', async () => {
    const answer = await exchangeBytes(
      server.port,
      'GET /health HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\nConnection: close\r\n\r\n',
    );
    expect(answer.status).toBe(200);
    expect(answer.header('x-request-id')).toMatch(/^req_/);
    expect(answer.header('x-response-time-ms')).toMatch(/^\d+\.\d\d$/);
  });

  test('a body shorter than it says, with the connection ended, is a 400', async () => {
    const socketBytes =
      'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}';
    const socket = createConnection({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.end(socketBytes);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('two requests on one connection are both answered, in order', async () => {
    const get = (path: string, extra = '') =>
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: of${path.slice(1)}\r\n${extra}\r\n`;
    const answer = await exchangeBytes(
      server.port,
      get('/health') + get('/nothing', 'Connection: close\r\n'),
    );
    expect(answer.header('x-request-id')).toBe('ofhealth');
    expect(answer.body).toMatch(/HTTP\/1\.1 404 Not Found[\s\S]*x-request-id: ofnothing/i);
  });

  test('a body in Latin-1 is refused', async () => {
    const body = Buffer.from('{"prompt":"Grüße"}', 'latin1');
    const head = `POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    const answer = await exchangeBytes(server.port, Buffer.concat([Buffer.from(head), body]));
    expectError(answer, 400, 'invalid_json');
  });
});

test('what was refused at the socket is logged and counted', async () => {
  const answer = await exchangeBytes(server.port, 'nonsense\r\n\r\n');
  const line = await server.requestLine(answer.header('x-request-id') ?? '');
  expect(line).toMatchObject({ status: 400, errorCode: 'malformed_http', clientAddress: '127.0.0.1' });
  expect(
    await metric(server, 'llm_serve_requests_total', 'route="unknown",status="400"'),
  ).toBeGreaterThanOrEqual(1);
});

test('probes of health and readiness are not logged', async () => {
  for (const path of ['/health', '/ready', '/'])
    await ask(`${server.url}${path}`, { headers: { 'x-request-id': 'after-probes' } });
  await server.requestLine('after-probes');
  expect(server.logs().filter(({ path }) => path === '/health' || path === '/ready')).toEqual([]);
});

test('the server still serves after all of this', async () => {
  expect((await generate(server, { prompt: 'hi' })).status).toBe(200);
});

test('the routes as text, the description and the browsable one are there', async () => {
  const text = await ask(`${server.url}/`, { headers: { accept: 'text/plain' } });
  expect(text.headers['content-type']).toBe('text/plain; charset=utf-8');
  expect(text.text).toContain('/generate');
  const description = await ask(`${server.url}/openapi.json`);
  expect(Object.keys(description.json<{ paths: object }>().paths)).toEqual(
    expect.arrayContaining(['/generate', '/stream', '/health', '/ready', '/metrics']),
  );
  const docs = await ask(`${server.url}/docs/`);
  expect(docs.status).toBe(200);
  expect(docs.headers['x-request-id']).toMatch(/^req_/);
});

test.each(['/docs', '/docs/'])('%s shows the description with files of this server alone', async (path) => {
  const page = await ask(`${server.url}${path}`);
  const files = [...page.text.matchAll(/<(?:script src|link rel="stylesheet" href)="([^"]+)"/g)].map(
    ([, file = '']) => new URL(file, `${server.url}${path}`).pathname,
  );
  expect(files.length).toBeGreaterThan(4);
  const types: Readonly<Record<string, string>> = {
    css: 'text/css; charset=utf-8',
    js: 'text/javascript; charset=utf-8',
  };
  for (const file of files) {
    const answer = await ask(`${server.url}${file}`);
    expect(answer.status, file).toBe(200);
    expect(answer.headers['content-type'], file).toBe(types[file.replace(/.*\./, '')]);
  }
});
