/**
 * Bodies that are made to cost: much to parse for their bytes, or many bytes that never end. The server stays there for others,
 * and refuses them in the words of their protocol.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PROTOCOLS } from '../../src/protocols/catalog.ts';
import { type Executable, startExecutable } from '../support/executable.ts';
import { ask, exchangeBytes, generate, metric, type RawAnswer } from '../support/http-client.ts';
import { processorMs, residentBytes } from '../support/process-cost.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll } from '../support/server.ts';

const MEBIBYTE = 1_048_576;
/** Time for a loaded machine to bring bodies along. */
const PATIENT = ['--server.body-timeout-seconds', '300'];
const POST_PATHS = PROTOCOLS.flatMap(({ routes }) =>
  routes.filter(({ method }) => method === 'POST').map(({ path }) => path),
);

const endsWith = endingAfterAll();
let started: Promise<Executable> | undefined;
const theServer = () => {
  started ??= startExecutable({ flags: [...scriptedFlags(), ...PATIENT], endsWith });
  return started;
};

const list = (count: number, entry: (at: number) => string) =>
  `[${Array.from({ length: count }, (_, at) => entry(at)).join(',')}]`;
const object = (count: number, key: (at: number) => string) =>
  `{${list(count, (at) => `"${key(at)}":1`).slice(1, -1)}}`;
const chat = (content: string) => `{"model":"demo","messages":[{"role":"user","content":${content}}]}`;

const COSTLY: readonly (readonly [string, () => string, string])[] = [
  ['999,000 keys', () => object(999_000, (at) => `k${at}`), 'different keys'],
  ['10 MB of [', () => '['.repeat(10_000_000), 'nested more than 256 levels'],
  ['{ and [ in turn', () => '{"a":['.repeat(3_000_000), 'nested more than 256 levels'],
  ['one key again and again', () => object(1_500_000, () => 'k'), 'strings and keys'],
  ['a million strings', () => list(1_000_000, (at) => `"s${at}"`), 'strings and keys'],
  ['a million lists', () => list(1_000_000, () => '[]'), 'lists and objects'],
  ['two million numbers', () => list(2_000_000, () => '1'), 'values'],
  ['20 MB of spaces', () => ' '.repeat(20 * MEBIBYTE), 'The body is empty'],
  ['20 MB of one key', () => `{"${'k'.repeat(19 * MEBIBYTE)}":1}`, 'messages is'],
  ['20 MB of one number', () => '1'.repeat(20 * MEBIBYTE), 'The body is Infinity, but must be an object'],
  ['20 MB of escapes', () => `{"messages":1,"a":"${'\\u0000'.repeat(3 * MEBIBYTE)}"}`, 'messages is'],
  ['20 MB of emoji', () => `{"messages":1,"a":"${'😀'.repeat(4 * MEBIBYTE)}"}`, 'messages is'],
  ['20 MB of no JSON', () => 'x'.repeat(20 * MEBIBYTE), 'not valid JSON'],
];

/** What reading 20 MB, and nothing more, takes here at its quickest. */
let readingMs: Promise<number> | undefined;
async function measureReading(server: Executable): Promise<number> {
  const tookMs: number[] = [];
  for (let tried = 0; tried < 3; tried += 1) {
    const before = processorMs(server.pid) ?? 0;
    await post(server, '/v1/chat/completions', ' '.repeat(20 * MEBIBYTE));
    tookMs.push((processorMs(server.pid) ?? 0) - before);
  }
  return Math.min(...tookMs);
}

describe('a body of', () => {
  test.each(COSTLY)('%s is a 400 that says why, and costs the server little', async (_, make, why) => {
    const server = await theServer();
    const body = make();
    readingMs ??= measureReading(server);
    const boundMs = Math.max(1000, 4 * (await readingMs));
    const before = processorMs(server.pid);
    const answer = await post(server, '/v1/chat/completions', body);
    expect(answer.status, answer.body).toBe(400);
    expect(answer.body).toContain(why);
    const after = processorMs(server.pid);
    // Reading 20 MB takes a quarter of it; unbounded, these took from half a second to ten where that took 250 ms.
    if (before !== undefined && after !== undefined) expect(after - before).toBeLessThan(boundMs);
  });

  test('what people send is taken: a long conversation, many token ids, a large picture', async () => {
    const server = await theServer();
    const messages = list(
      10_000,
      (at) => `{"role":"${at % 2 === 0 ? 'user' : 'assistant'}","content":"m${at}"}`,
    );
    const say = JSON.stringify(scripted({ text: 'well' }));
    for (const [path, body] of [
      [
        '/v1/chat/completions',
        `{"model":"demo","messages":${messages.slice(0, -1)},{"role":"user","content":${say}}]}`,
      ],
      ['/v1/embeddings', `{"model":"demo","input":${list(120, () => list(8192, () => '12345'))}}`],
    ] as const) {
      const answer = await post(server, path, body);
      // Beyond the context of the model, but not beyond what a body may be.
      if (answer.status !== 200) expect(answer.body).toContain('context length');
    }
    const picture = await post(
      server,
      '/v1/chat/completions',
      chat(
        `[{"type":"text","text":${say}},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo${'A'.repeat(15 * MEBIBYTE + 1)}"}}]`,
      ),
    );
    expect(picture.body).not.toContain('"The body');
    expect(picture.status).toBeLessThan(500);
  });
});

const ODD_VALUES: readonly (readonly [string, string])[] = [
  ['a number beyond all', '1e999'],
  ['a negative zero', '-0'],
  ['an integer beyond doubles', '123456789012345678901234567890'],
  ['a number close to nothing', '1e-999'],
  ['a key twice', '{"a":1,"a":2}'],
  ['__proto__', '{"__proto__":{"max_tokens":1,"role":"user"}}'],
  ['constructor', '{"constructor":{"prototype":{"a":1}},"toString":1,"hasOwnProperty":null}'],
  ['a lone surrogate', '"\\ud83d"'],
  ['NULs', '"\\u0000a\\u0000"'],
  ['128 levels', `${'[{"a":'.repeat(64)}1${'}]'.repeat(64)}`],
  ['an empty key', '{"":1}'],
];

describe('something odd in a body', () => {
  test.each(ODD_VALUES)('%s, wherever it stands, is answered by every route', async (_, odd) => {
    const server = await theServer();
    const bodies = [
      odd,
      `[${odd}]`,
      `{"model":"demo","prompt":${odd},"input":${odd},"messages":${odd},"max_tokens":1}`,
      `{"model":${odd},"prompt":"x"}`,
      `{"__proto__":${odd},"model":"demo","prompt":"x","max_tokens":${odd},"temperature":${odd}}`,
      `{"model":"demo","max_tokens":1,"messages":[{"role":"user","content":${odd}}],"tools":${odd},"format":${odd},"metadata":${odd}}`,
      `\uFEFF{"model":"demo","max_tokens":1,"messages":[${odd}],"seed":${odd},"stop":${odd},"logit_bias":${odd}}`,
    ];
    await Promise.all(
      POST_PATHS.flatMap((path) =>
        bodies.map(async (body) => {
          const { status, body: text } = await post(server, path, body);
          expect(status === 501 || status < 500, `${path} ${body} ${status} ${text}`).toBe(true);
        }),
      ),
    );
    expect((await ask(`${server.url}/health`)).status).toBe(200);
  });

  test('of a key that comes twice the last counts, and __proto__ is a key like any other', async () => {
    const server = await theServer();
    const twice = await post(server, '/generate', '{"prompt":"a","max_tokens":0,"max_tokens":1}');
    expect(twice.status).toBe(200);
    const proto = await post(server, '/generate', '{"prompt":"a","__proto__":{"max_tokens":0}}');
    expect(proto.status).toBe(400);
    expect(proto.body).toContain('__proto__ is not known');
  });
});

describe('a body in chunks', () => {
  /** Each character is a byte. */
  const chunked = (chunks: readonly string[], end = '0\r\n\r\n') =>
    `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunks
      .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
      .join('')}${end}`;

  test('of one byte each is put together', async () => {
    const server = await theServer();
    const bytes = [...Buffer.from(chat('"grüße 😀"'))].map((byte) => String.fromCharCode(byte));
    const answer = await exchangeBytes(server.port, Buffer.from(chunked(bytes), 'latin1'));
    expect(answer.status, answer.body).toBe(200);
    expect(answer.body).toContain('😀');
  });

  test('that names no length is a 413 where it exceeds the limit, and a 400 where it exceeds a bound', async () => {
    const server = await theServer();
    const large = await exchangeBytes(server.port, chunked(Array(22).fill('x'.repeat(MEBIBYTE))));
    expect(large.status, large.body).toBe(413);
    const deep = await exchangeBytes(server.port, chunked(Array(300).fill('['), ''));
    expect(deep.status, deep.body).toBe(400);
    expect(deep.body).toContain('nested more than 256 levels');
  });
});

describe('bodies that do not end', () => {
  test('are bounded in sum: the largest are a 503 server_busy, and small ones are served beside them', async () => {
    const room = 40 * MEBIBYTE;
    const server = await startExecutable({
      flags: [...scriptedFlags(), '--server.max-body-bytes-in-flight', String(room), ...PATIENT],
      endsWith: onTestFinished,
    });
    const residentBefore = residentBytes(server.pid);
    const senders = Array.from({ length: 12 }, () => sendUnfinished(server, 18 * MEBIBYTE));
    const refused = await untilRefused(senders, 10);
    for (const text of refused) {
      expect(text).toMatch(/^HTTP\/1\.1 503 /);
      expect(text).toMatch(/retry-after: [1-9]/i);
      expect(text).toMatch(/x-reject-reason: server_busy/i);
      expect(text).toContain('server.max_body_bytes_in_flight');
    }
    expect(await metric(server, 'llm_serve_body_bytes_in_flight')).toBeLessThanOrEqual(room);
    expect((await generate(server, { prompt: 'hi', max_tokens: 1 })).status).toBe(200);
    expect(await metric(server, 'llm_serve_rejected_total', 'code="server_busy"')).toBeGreaterThanOrEqual(10);
    // 216 MB were sent; what is held is bounded, what was read is garbage for a while.
    const resident = async () => {
      await metric(server, 'llm_serve_body_bytes_in_flight');
      return residentBytes(server.pid) ?? 0;
    };
    await expect.poll(resident).toBeLessThan((residentBefore ?? 0) + room + 120 * MEBIBYTE);
    for (const { socket } of senders) socket.destroy();
    await expect.poll(() => metric(server, 'llm_serve_body_bytes_in_flight')).toBe(0);
  });
});

describe('connections beyond server.max_connections', () => {
  test('are closed unread, and let in again when others have closed', async () => {
    const server = await startExecutable({
      flags: [...scriptedFlags(), '--server.max-connections', '3'],
      endsWith: onTestFinished,
    });
    const held = await Promise.all([1, 2, 3].map(() => openSocket(server)));
    const over = connect(server.port, '127.0.0.1');
    let bytes = 0;
    over.on('data', (piece) => {
      bytes += piece.length;
    });
    over.on('error', () => {});
    over.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => over.once('close', resolve));
    expect(bytes).toBe(0);
    for (const socket of held) socket.destroy();
    await expect
      .poll(() =>
        metric(server, 'llm_serve_connections_refused_total', 'bound="max_connections"').catch(() => 0),
      )
      .toBeGreaterThanOrEqual(1);
    await server.logged(({ msg }) => msg.includes('server.max_connections is reached'));
  });
});

function post(server: Executable, path: string, body: string): Promise<RawAnswer> {
  const bytes = Buffer.from(body);
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`;
  return exchangeBytes(server.port, Buffer.concat([Buffer.from(head), bytes]));
}

interface Sender {
  readonly socket: Socket;
  answer(): string;
}

/** All but the last byte. */
function sendUnfinished(server: Executable, bytes: number): Sender {
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  socket.on('error', () => {});
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n{"a":"`,
  );
  socket.write(Buffer.alloc(bytes - 7, 'x'));
  return { socket, answer: () => answer };
}

async function untilRefused(senders: readonly Sender[], count: number): Promise<string[]> {
  const answered = () => senders.map(({ answer }) => answer()).filter((text) => text.includes('\r\n\r\n'));
  await expect.poll(() => answered().length, { timeout: 150_000 }).toBeGreaterThanOrEqual(count);
  return answered();
}

/** Open as far as the server sees it: it has answered there. */
async function openSocket(server: Executable): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  return socket;
}
