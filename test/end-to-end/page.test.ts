/** The pages at `/` and `/docs` as they are sent: whole, compressed, cached, with their security headers, and open where the data needs a key. */
import { request } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const endsWith = endingAfterAll();
let server: RunningServer;
let closed: RunningServer;
beforeAll(async () => {
  server = await startServer({ flags: scriptedFlags(), endsWith });
  closed = await startServer({
    flags: scriptedFlags(),
    environment: { LLM_SERVE_AUTH__API_KEYS: '["a-key-for-this-test"]' },
    endsWith,
  });
});

/** Bytes as they were sent. */
async function get(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
  of = server,
) {
  return new Promise<{ status: number; headers: Record<string, unknown>; bytes: Buffer }>(
    (resolve, reject) => {
      const sent = request(`${of.url}${path}`, { method, headers, agent: false }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes: Buffer.concat(parts),
          }),
        );
      });
      sent.on('error', reject);
      sent.end();
    },
  );
}

async function assetsOfPage(): Promise<string[]> {
  const { bytes } = await get('/', HTML);
  return [...bytes.toString().matchAll(/(?:src|href)="(assets\/[^"]+)"/g)].map((match) => `/${match[1]}`);
}

test('a browser gets the page, which loads nothing from elsewhere and nothing inline', async () => {
  const { status, headers, bytes } = await get('/', HTML);
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': expect.stringContaining('camera=()'),
    vary: 'Accept, Accept-Encoding',
  });
  const policy = String(headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain('unsafe');
  const html = bytes.toString();
  expect(html).not.toMatch(/https?:|<style|style=|<script(?![^>]*\bsrc=)/);
  expect(await assetsOfPage()).toEqual([
    expect.stringMatching(/\.svg$/),
    expect.stringMatching(/\/main-\w+\.css$/),
    // Not in force until Admin is shown.
    expect.stringMatching(/\/admin-\w+\.css$/),
    expect.stringMatching(/\.js$/),
  ]);
});

test('who takes anything gets the page', async () => {
  for (const accept of ['*/*', undefined]) {
    const { headers } = await get('/', accept === undefined ? {} : { accept });
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
  }
});

test('who asks for plain text gets the routes', async () => {
  const { headers, bytes } = await get('/', { accept: 'text/plain' });
  expect(headers).toMatchObject({ 'content-type': 'text/plain; charset=utf-8', vary: 'Accept' });
  expect(bytes.toString()).toContain('POST /generate');
});

test('files are sent as the browser takes them, all with the same content', async () => {
  for (const path of ['/', ...(await assetsOfPage())]) {
    const plain = await get(path, HTML);
    const brotli = await get(path, { ...HTML, 'accept-encoding': 'gzip, deflate, br, zstd' });
    const gzip = await get(path, { ...HTML, 'accept-encoding': 'gzip;q=0.5, br;q=0' });
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(brotli.headers['content-encoding']).toBe('br');
    expect(gzip.headers['content-encoding']).toBe('gzip');
    expect(brotliDecompressSync(brotli.bytes).equals(plain.bytes), path).toBe(true);
    expect(gunzipSync(gzip.bytes).equals(plain.bytes), path).toBe(true);
    const tags = new Set([plain, brotli, gzip].map(({ headers }) => headers.etag));
    expect(tags.size, 'each form has its own tag').toBe(3);
  }
});

test('hashed files may be kept for ever; the page is asked for again and is a 304 while it is the same', async () => {
  const [icon = ''] = await assetsOfPage();
  expect((await get(icon)).headers['cache-control']).toBe('public, max-age=31536000, immutable');
  const { headers } = await get('/', HTML);
  const tag = String(headers.etag);
  for (const known of [tag, `W/${tag}`, `"other", ${tag}`]) {
    const again = await get('/', { ...HTML, 'if-none-match': known });
    expect([again.status, again.bytes.length]).toEqual([304, 0]);
  }
  expect((await get('/', { ...HTML, 'if-none-match': '"other"' })).status).toBe(200);
});

test('HEAD has the headers of GET, without the bytes', async () => {
  for (const path of ['/', ...(await assetsOfPage())]) {
    const whole = await get(path, HTML);
    const head = await get(path, HTML, 'HEAD');
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    for (const name of ['content-length', 'content-type', 'etag', 'content-security-policy'])
      expect(head.headers[name], name).toBe(whole.headers[name]);
  }
});

test('nothing but the built files is served', async () => {
  const paths = [
    'nothing.js',
    '',
    '..%2findex.html',
    '../licences.txt',
    '%2e%2e%2flicences.txt',
    'main.js.br',
  ];
  for (const path of paths) expect((await get(`/assets/${path}`)).status, path).toBe(404);
});

test('with keys, the page and its files are open and the data is not', async () => {
  for (const path of ['/', ...(await assetsOfPage())])
    expect((await get(path, HTML, 'GET', closed)).status, path).toBe(200);
  expect((await get('/v1/models', {}, 'GET', closed)).status).toBe(401);
});

describe('the API page', () => {
  const FILES = ['swagger-ui.css', 'swagger-ui-bundle.js', 'theme.js', 'page.css', 'settings.js'];
  const ALL = ['/docs', '/docs/', '/openapi.json', ...FILES.map((name) => `/docs/static/${name}`)];

  test('loads the files that are served, as seen from /docs and from /docs/', async () => {
    for (const [path, folder] of [
      ['/docs', 'docs/static/'],
      ['/docs/', 'static/'],
    ] as const) {
      const { bytes, headers } = await get(path, HTML);
      const loaded = [...bytes.toString().matchAll(/(?:src|href)="([^"]*static[^"]*)"/g)].map(
        ([, name]) => name,
      );
      expect(loaded.toSorted()).toEqual(FILES.map((name) => folder + name).toSorted());
      expect(headers['content-security-policy']).toContain(
        "script-src 'self'; style-src 'self' 'unsafe-inline'",
      );
    }
  });

  test('everything of it is compressed, revalidated, and taken for nothing but what it is', async () => {
    for (const path of ALL) {
      const plain = await get(path, HTML);
      const gzip = await get(path, { ...HTML, 'accept-encoding': 'gzip, deflate, br' });
      expect([path, plain.status, gzip.headers['content-encoding']]).toEqual([path, 200, 'gzip']);
      expect(gunzipSync(gzip.bytes).equals(plain.bytes), path).toBe(true);
      for (const { headers } of [plain, gzip])
        expect(headers).toMatchObject({
          'x-content-type-options': 'nosniff',
          'referrer-policy': 'no-referrer',
          'cache-control': 'no-cache',
          vary: 'Accept-Encoding',
        });
      expect(gzip.headers.etag).not.toBe(plain.headers.etag);
      const again = await get(path, { ...HTML, 'if-none-match': `W/${plain.headers.etag}` });
      expect([again.status, again.bytes.length], path).toEqual([304, 0]);
      const head = await get(path, HTML, 'HEAD');
      expect([head.status, head.bytes.length, head.headers.etag]).toEqual([200, 0, plain.headers.etag]);
    }
    const { headers } = await get('/openapi.json');
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
  });

  test.each(['LICENSE', 'NOTICE', 'package.json', 'index.html.gz', '..%2fweb%2findex.html', ''])(
    '/docs/static/%s is a 404',
    async (name) => {
      expect((await get(`/docs/static/${name}`)).status).toBe(404);
    },
  );

  test('with keys, the page and what it shows are open', async () => {
    for (const path of ALL) expect((await get(path, HTML, 'GET', closed)).status, path).toBe(200);
  });
});
