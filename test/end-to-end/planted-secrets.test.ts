/**
 * Secrets are planted wherever one can be set or made, everything is exercised that could give one away, and then every output is
 * searched for every secret, in parts and encodings too. The search itself: test/support/planted-secrets.test.ts.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { findSecrets, type Output, type PlantedSecret, plantedSecret } from '../support/planted-secrets.ts';
import { type EndsWith, endingAfterAll } from '../support/server.ts';
import { MISSING_VALKEY, startValkey, type TestValkey } from '../support/valkey.ts';

const endsWith = endingAfterAll();

const apiKey = plantedSecret('the key of auth.api_keys');
const adminKey = plantedSecret('the key of auth.admin_keys');
const nextApiKey = plantedSecret('the key that a reload adds');
const targetKey = plantedSecret('the api_key of a target');
const traceHeader = plantedSecret('the header for traces');
const valkeyPassword = plantedSecret('the password of the shared limits');
const wrongKey = plantedSecret('a wrong key that a client sent');
const planted: PlantedSecret[] = [
  ...[apiKey, adminKey, nextApiKey, targetKey, traceHeader, valkeyPassword, wrongKey],
];
const outputs: Output[] = [];
const keep = (name: string, bytes: Output['bytes']) => outputs.push({ name, bytes });

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** It is the one answer that may have a new key. */
  readonly makesKey?: boolean;
}

describe('no secret comes out', () => {
  let folder: string;
  let server: Executable;
  let configFile: string;
  let environment: Readonly<Record<string, string>>;
  const received: Output[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'llm-serve-secrets-'));
    endsWith(async () => rmSync(folder, { recursive: true, force: true }));
    const upstream = await startUpstream(received);
    const receiver = await startReceiver(received);
    const valkey =
      MISSING_VALKEY === undefined
        ? await startValkey({ args: ['--requirepass', valkeyPassword.text], hasPort: true, endsWith })
        : undefined;
    configFile = join(folder, 'llm-serve.yaml');
    writeFileSync(configFile, configOf({ upstream, receiver, valkey }));
    environment = { LLM_SERVE_DATA__DIRECTORY: folder };
    const { stdout } = await command(['keys', 'create', '--name', 'alice', '--team', 'red', '--json'], {
      isKept: false,
    });
    rememberKey('the key of alice', stdout);
    server = await startExecutable({ flags: ['--config', configFile], environment, endsWith });
  });

  test('not in any answer, whoever asks for whatever', async () => {
    const routes = await everyGetRoute();
    expect(routes.length).toBeGreaterThan(10);
    const senders: Readonly<Record<string, string>>[] = [
      {},
      bearer(apiKey.text),
      bearer(adminKey.text),
      bearer(wrongKey.text),
      { 'x-api-key': wrongKey.text },
      { 'api-key': wrongKey.text, authorization: `Bearer ${apiKey.text}` },
      // Mistakes of clients.
      { authorization: wrongKey.text },
      { authorization: `Basic ${Buffer.from(`user:${wrongKey.text}`).toString('base64')}` },
    ];
    for (const path of routes) for (const headers of senders) await ask(path, { headers, method: 'GET' });
    for (const path of ['/v1/models', '/nothing', '/live'].map((each) => `${each}?api_key=${wrongKey.text}`))
      await ask(path, { headers: bearer(apiKey.text) });
    const chat = { model: 'good', messages: [{ role: 'user', content: 'hello' }] };
    for (const model of ['good', 'refused', 'gone', 'unknown'])
      for (const stream of [false, true])
        for (const headers of senders)
          await ask('/v1/chat/completions', { headers, body: { ...chat, model, stream } });
    for (const path of ['/v1/responses', '/v1/messages', '/api/chat', '/generate', '/stream'])
      await ask(path, {
        headers: bearer(apiKey.text),
        body: { model: 'refused', prompt: 'x', messages: [] },
      });
    expect(problems()).toEqual([]);
  });

  test('not by administration, but for the one answer that makes a key', async () => {
    const headers = bearer(adminKey.text);
    const made = await ask('/admin/keys', { headers, body: { name: 'bob' }, makesKey: true });
    const rotated = await ask('/admin/keys/alice/rotate', { headers, body: {}, makesKey: true });
    for (const { status, text } of [made, rotated])
      if (status < 300) rememberKey('a key made by the admin API', text);
    for (const method of ['GET', 'POST', 'PATCH', 'PUT'])
      for (const path of [
        '/admin/keys',
        '/admin/keys/alice',
        '/admin/configuration',
        '/admin/audit',
        '/admin/nothing',
      ])
        await ask(path, {
          method,
          headers,
          ...(method !== 'GET' && { body: { name: 'carol', key: wrongKey.text, secret: wrongKey.text } }),
        });
    await ask('/admin/keys/bob/revoke', { headers, body: {} });
    for (const path of [
      '/admin/keys',
      '/admin/audit',
      '/admin/usage',
      '/admin/limits',
      '/admin/queue',
      '/admin/targets',
    ])
      await ask(path, { method: 'GET', headers });
    expect(problems()).toEqual([]);
  });

  test('not by a reload, of what is right and of what is wrong', async () => {
    const right = readFileSync(configFile, 'utf8');
    const reload = () => ask('/admin/reload', { headers: bearer(adminKey.text), body: {} });
    writeFileSync(configFile, right.replace('api_keys:', `api_keys:\n    - ${nextApiKey.text}`));
    await reload();
    for (const wrong of wrongFiles()) {
      writeFileSync(configFile, wrong);
      await reload();
      server.signal('SIGHUP');
      await command(['check-config', '--config', configFile]);
    }
    writeFileSync(configFile, right);
    await reload();
    expect(problems()).toEqual([]);
  });

  test('not by a command', async () => {
    const config = ['--config', configFile];
    for (const args of [
      ['check-config', ...config],
      ['check-config', ...config, '--json'],
      ['keys', 'list', ...config],
      ['keys', 'list', '--json', ...config],
      ['keys', 'show', 'alice', ...config],
      ['keys', 'show', 'alice', '--json', ...config],
      ['keys', 'revoke', 'alice', '--json', ...config],
      ['usage', '--by', 'key', ...config],
      ['usage', '--by', 'key', '--json', ...config],
      ['data', 'check', ...config],
      ['data', 'backup', join(folder, 'backup.db'), ...config],
      ['keys', 'show', wrongKey.text, ...config],
      ['status', '--server', server.url],
    ])
      await command(args);
    expect(problems()).toEqual([]);
  });

  test('not to the servers behind, to which no client’s key goes, nor in a span', async () => {
    expect(received.length).toBeGreaterThan(3);
    const toUpstream = received.filter(({ name }) => name.startsWith('upstream'));
    // What the target is to be sent.
    expect(findSecrets(toUpstream, [targetKey])).not.toEqual([]);
    const others = planted.filter((secret) => secret !== targetKey);
    expect(findSecrets(toUpstream, others)).toEqual([]);
    const spans = () => received.filter(({ name }) => name === 'spans');
    await expect.poll(() => spans().length).toBeGreaterThan(0);
    expect(findSecrets(spans(), planted)).toEqual([]);
  });

  test('not in the log, nor in any file that the server keeps', async () => {
    const { stdout, stderr } = await server.stop();
    keep('standard output', stdout);
    keep('standard error', stderr);
    expect(stdout.split('\n').length).toBeGreaterThan(100);
    for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(file.parentPath, file.name);
      if (!file.isFile() || path === configFile) continue;
      expect(statSync(path).mode & 0o077, `who else may use ${file.name}`).toBe(0);
      keep(file.name, readFileSync(path));
    }
    expect(outputs.map(({ name }) => name)).toContainEqual(expect.stringMatching(/\.(db|sqlite)/));
    expect(problems()).toEqual([]);
  });

  const problems = () => findSecrets(outputs, planted);

  /** A new key, and from now on a secret. */
  function rememberKey(name: string, json: string): void {
    const { key } = JSON.parse(json) as { key: string };
    expect(key).toMatch(/^sk-llm-/);
    planted.push({ name, text: key, shownCharacters: 12 });
  }

  async function command(args: readonly string[], { isKept = true } = {}) {
    const ended = await runExecutable(args, { environment, endsWith });
    // What was typed is not an output: some commands repeat the name that they do not find.
    if (isKept && !args.includes(wrongKey.text))
      keep(args.slice(0, 2).join(' '), ended.stdout + ended.stderr);
    return ended;
  }

  async function ask(path: string, asked: Asked) {
    const answer = await exchange(server.port, path, asked);
    if (asked.makesKey !== true || answer.status >= 300)
      keep(`${asked.method ?? 'POST'} ${path.replace(wrongKey.text, '…')} (${answer.status})`, answer.whole);
    return answer;
  }

  async function everyGetRoute(): Promise<readonly string[]> {
    const { text } = await exchange(server.port, '/openapi.json', { method: 'GET' });
    const { paths } = JSON.parse(text) as { paths: Record<string, object> };
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      'get' in operations ? [path.replaceAll(/\{[^}]+\}/g, 'good')] : [],
    );
    return [...new Set([...described, '/', '/docs/', '/metrics', '/live', '/nothing'])];
  }
});

describe('no secret comes out of a start that fails', () => {
  const password = plantedSecret('the password', { isPassword: true });
  const encoded = encodeURIComponent(password.text);
  const ofTarget = (settings: object) => [
    '--models',
    JSON.stringify([{ id: 'a', targets: [{ backend: 'scripted', model: 'x', ...settings }] }]),
  ];
  test.each([
    ['a PostgreSQL that is not there', ['--access.store', `postgres://user:${encoded}@127.0.0.1:1/db`]],
    [
      'a PostgreSQL at a name that is none',
      ['--access.store', `postgres://user:${encoded}@nowhere.invalid/db`],
    ],
    ['an address that is none', ['--access.store', `postgres://user:${encoded}@[::1/db`]],
    ['a store of no known kind', ['--access.store', `mysql://user:${encoded}@127.0.0.1/db`]],
    ['a Valkey that is not there', ['--limits.store', `valkey://user:${encoded}@127.0.0.1:1`]],
    ['a Valkey whose port is none', ['--limits.store', `valkey://user:${encoded}@127.0.0.1:port`]],
    [
      'a Valkey by sentinels that are none',
      ['--limits.store', `valkey+sentinel://user:${encoded}@127.0.0.1:1/main`],
    ],
    ['a lease store that is not there', ['--leases.store', `valkey://user:${encoded}@127.0.0.1:1`]],
    ['leases of no known kind', ['--leases.store', `memcached://user:${encoded}@127.0.0.1`]],
    ['limits of no known kind', ['--limits.store', `memcached://user:${encoded}@127.0.0.1`]],
    ['an api_key of the wrong type', ofTarget({ api_key: [password.text] })],
    ['an api_key beside a wrong field', ofTarget({ api_key: password.text, nope: 1 })],
    ['keys that are no list', ['--auth.api-keys', password.text]],
    ['keys that are no list of strings', ['--auth.admin-keys', JSON.stringify([{ secret: password.text }])]],
    ['a key that is too short, beside another', ['--auth.api-keys', JSON.stringify(['x', password.text])]],
    ['headers for traces that are no object', ['--tracing.headers', JSON.stringify([password.text])]],
    [
      'an address of a target that is none',
      ofTarget({ backend: 'ollama', url: `nope://u:${encoded}@127.0.0.1` }),
    ],
    ['an address of models that is none', ['--cache.hub-url', `nope://user:${encoded}@127.0.0.1`]],
  ])('%s', async (_, flags) => {
    const server = runExecutable(
      [
        '--port',
        '0',
        '--logging.level',
        'debug',
        ...(flags.includes('--models') ? [] : ofTarget({})),
        ...flags,
      ],
      { endsWith: (end) => endsWith(end) },
    );
    const checked = await runExecutable(['check-config', ...flags], { endsWith });
    const ended = await Promise.race([server, delay(8000, undefined)]);
    const printed = [ended?.stdout, ended?.stderr, checked.stdout, checked.stderr].join('\n');
    expect(
      findSecrets(
        [{ name: 'what was printed', bytes: printed }],
        [password, { name: 'its URL form', text: encoded }],
      ),
    ).toEqual([]);
  });
});

function bearer(key: string) {
  return { authorization: `Bearer ${key}` };
}

function configOf(parts: { upstream: string; receiver: string; valkey: TestValkey | undefined }): string {
  const { upstream, receiver, valkey } = parts;
  const remote = { backend: 'openai-compatible', model: 'm', api_key: targetKey.text };
  const port = valkey?.port ?? 1;
  const settings = {
    models: [
      { id: 'good', targets: [{ ...remote, url: upstream }] },
      { id: 'refused', targets: [{ ...remote, url: `${upstream}/refusing` }] },
      {
        id: 'gone',
        targets: [{ ...remote, url: 'http://127.0.0.1:1' }],
      },
    ],
    auth: { api_keys: [apiKey.text], admin_keys: [adminKey.text] },
    limits: {
      store: `valkey://:${encodeURIComponent(valkeyPassword.text)}@127.0.0.1:${port}`,
      per_key: { requests_per_minute: 100_000 },
    },
    tracing: { endpoint: receiver, headers: { authorization: `Bearer ${traceHeader.text}` }, content: true },
    logging: { level: 'debug', format: 'json' },
  };
  // YAML, as people write it; JSON is a part of it.
  return Object.entries(settings)
    .map(([name, value]) =>
      name === 'auth'
        ? `auth:\n  api_keys:\n    - ${apiKey.text}\n  admin_keys:\n    - ${adminKey.text}\n`
        : `${name}: ${JSON.stringify(value)}\n`,
    )
    .join('');
}

function wrongFiles(): readonly string[] {
  return [
    `auth: { api_keys: ${apiKey.text} }`,
    `auth: [${apiKey.text}]`,
    `auth:\n  api_keys: [${apiKey.text}\n  admin_keys: "`,
    `models: [{ id: a, targets: [{ backend: nope, api_key: ${targetKey.text} }] }]`,
    `limits: { store: "memcached://:${valkeyPassword.text.replaceAll('"', '')}@host" }`,
    `tracing: { headers: ${traceHeader.text} }`,
    `${adminKey.text}: true`.replace(adminKey.text, 'nope'),
  ];
}

/** Answers, and at /refusing does what some servers do: it repeats the key that it refuses. */
async function startUpstream(received: Output[]): Promise<string> {
  return listen((asked, body, answer) => {
    received.push({ name: `upstream ${asked.url}`, bytes: JSON.stringify(asked.rawHeaders) + body });
    if (asked.url?.startsWith('/refusing') === true) {
      const key = asked.headers.authorization ?? '';
      answer(401, {
        error: { message: `Incorrect API key provided: ${key.replace('Bearer ', '')}`, type: 'auth' },
      });
      return;
    }
    if (asked.url?.endsWith('/models') === true) return answer(200, { data: [{ id: 'm', object: 'model' }] });
    if (!body.includes('"messages"')) return answer(404, { error: { message: 'no such path' } });
    const message = { role: 'assistant', content: 'well' };
    const choice = { index: 0, message, finish_reason: 'stop' };
    answer(200, { id: 'c', object: 'chat.completion', model: 'm', choices: [choice] });
  });
}

async function startReceiver(received: Output[]): Promise<string> {
  return listen((_, body, answer) => {
    received.push({ name: 'spans', bytes: body });
    answer(200, {});
  });
}

type Answering = (
  asked: IncomingMessage,
  body: string,
  answer: (status: number, body: unknown) => void,
) => void;

function listen(answering: Answering): Promise<string> {
  const server = createServer((asked, response) => {
    const pieces: Buffer[] = [];
    asked.on('data', (piece: Buffer) => pieces.push(piece));
    asked.on('end', () =>
      answering(asked, Buffer.concat(pieces).toString('latin1'), (status, body) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      }),
    );
  });
  const ends: EndsWith = endsWith;
  ends(async () => {
    server.closeAllConnections();
    server.close();
  });
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () =>
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    ),
  );
}

interface Exchanged {
  readonly status: number;
  readonly text: string;
  /** With its head. */
  readonly whole: string;
}

/** A stream that has no end of its own is left after its first pieces. */
const PIECES_OF_ENDLESS = 3;

function exchange(
  port: number,
  path: string,
  { method = 'POST', headers = {}, body }: Asked,
): Promise<Exchanged> {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const typed: IncomingHttpHeaders = sent === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path, method, headers: { ...typed, ...headers } });
    asking.once('error', reject);
    asking.once('response', (response) => {
      let text = '';
      let pieces = 0;
      const done = () => {
        const status = response.statusCode ?? 0;
        resolve({ status, text, whole: `${response.rawHeaders.join('\n')}\n\n${text}` });
      };
      response.setEncoding('latin1').on('data', (piece: string) => {
        text += piece;
        pieces += 1;
        if (path.startsWith('/live') && pieces >= PIECES_OF_ENDLESS) response.destroy();
      });
      response.once('close', done);
    });
    asking.end(sent);
  });
}
