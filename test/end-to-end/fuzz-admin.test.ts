/**
 * Every route of administrators and of keys, over the whole server: bodies as their schemas allow, nearly so and not at all, with any
 * method, parameters, query and headers. Whatever comes: no 5xx, an answer as described, a server that goes on, and keys that are as
 * they were.
 */
import { Agent, request } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DESCRIBED_ADMIN } from '../../src/http/routes/admin.ts';
import { type ApiDescription, fetchDescription, undescribed } from '../support/api-description.ts';
import { ask, metric, type RawAnswer } from '../support/http-client.ts';
import { asJson, NO_OBJECTS, nearMisses } from '../support/near-misses.ts';
import { runs } from '../support/property-runs.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';
import { type BodySchema, valuesOf } from '../support/values-of-schema.ts';

interface Operation {
  readonly method: string;
  readonly path: string;
}

const SEED = 20_26;
const ADMIN_KEY = 'an-admin-key-of-the-fuzz';
const KEEPER = 'the key that is to stay as it is';
const ANSWERED_WITHIN_MS = 60_000;
const OWN_USAGE = '/v1/usage';
const OPERATIONS: readonly Operation[] = [
  ...DESCRIBED_ADMIN.map(({ method = 'GET', path }) => ({ method: String(method), path })),
  { method: 'GET', path: OWN_USAGE },
  { method: 'GET', path: '/admin/usage' },
];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'];

const endsWith = endingAfterAll();
const agent = new Agent({ keepAlive: true, maxSockets: 4 });
let server: RunningServer;
let description: ApiDescription;
let keeper: { readonly id: string; readonly key: string };

beforeAll(async () => {
  server = await startServer({
    flags: [...scriptedFlags(), '--auth.admin-keys', JSON.stringify([ADMIN_KEY])],
    endsWith,
  });
  description = await fetchDescription(server);
  const made = await send({ method: 'POST', path: '/admin/keys', body: JSON.stringify({ name: KEEPER }) });
  expect(made.status, made.body).toBe(201);
  keeper = JSON.parse(made.body);
});
afterAll(() => agent.destroy());

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '.',
    '..',
    '%2e%2e%2f',
    '%00',
    '__proto__',
    'constructor',
    'demo',
    'a'.repeat(5000),
    '%',
    '%ff',
  ),
);
/** In a path: as text, or encoded. */
const parameter = fc.oneof(
  anyText.map((text) => encodeURIComponent(text.toWellFormed())),
  fc.constantFrom('..', '%2e%2e', '%00', '%ff', '%', '__proto__', 'x/y', '', 'key_0000000000000000'),
);
const query = fc.oneof(
  fc.constant(''),
  fc
    .array(fc.tuple(fc.constantFrom('by', 'from', 'to', 'limit', 'before', 'x', '__proto__'), anyText), {
      maxLength: 4,
    })
    .map(
      (pairs) =>
        `?${new URLSearchParams(pairs.map(([name, value]): [string, string] => [name, value.toWellFormed()]))}`,
    ),
  fc.constantFrom(
    '?',
    '?limit=-1',
    '?limit=1e9',
    '?from=9999999-99-99',
    '?to=NaN',
    '?by=key,key,key',
    '?&&==&',
  ),
);
const header = fc.oneof(
  fc.constant({}),
  fc
    .tuple(
      fc.constantFrom(
        'x-request-id',
        'origin',
        'traceparent',
        'accept',
        'content-type',
        'x-forwarded-for',
        'if-match',
        'expect',
      ),
      fc.string({ maxLength: 60 }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, '?')),
    )
    .map(([name, value]) => ({ [name]: value })),
);

const schemaOf = ({ method, path }: Operation): BodySchema => {
  const operations = description.paths[path] as
    | Readonly<Record<string, { requestBody?: { content: Record<string, { schema: unknown }> } }>>
    | undefined;
  const schema = operations?.[method.toLowerCase()]?.requestBody?.content['application/json']?.schema ?? {};
  // Text is not made of patterns that look ahead.
  return JSON.parse(JSON.stringify(schema), (name, value) =>
    name === 'pattern' && String(value).includes('(?') ? undefined : value,
  ) as BodySchema;
};

describe.each(OPERATIONS)('$method $path', (operation) => {
  test('answers or refuses what its schema allows, and what is nearly that', async () => {
    const bodies = valuesOf(schemaOf(operation), {});
    const body =
      operation.method === 'GET' ? fc.constant('') : fc.oneof(bodies.map(asJson), nearMisses(bodies));
    const filled = parameter.map((text) => operation.path.replaceAll(/\{[^}]+\}/g, () => text));
    await tryEach(fc.tuple(filled, query, header, body), async ([path, search, headers, text]) => {
      const answer = await send({ method: operation.method, path: path + search, headers, body: text });
      expect(problemsOf(operation, answer)).toEqual([]);
    });
  });

  test('refuses what is no JSON object in UTF-8', async () => {
    if (operation.method === 'GET') return;
    const path = operation.path.replaceAll(/\{[^}]+\}/g, 'nobody');
    for (const body of NO_OBJECTS)
      expect((await send({ method: operation.method, path, body })).status).toBeLessThan(500);
  });

  test('is answered by no method that it does not have with more than a refusal', async () => {
    const path = operation.path.replaceAll(/\{[^}]+\}/g, 'nobody');
    for (const method of METHODS) {
      const answer = await send({ method, path, body: '' });
      expect(answer.status, `${method} ${path}`).toBeLessThan(500);
      if (['PUT', 'DELETE', 'PROPFIND'].includes(method)) expect([404, 405]).toContain(answer.status);
    }
  });

  test('needs an admin key, whatever else is sent', async () => {
    if (operation.path === OWN_USAGE) return;
    const path = operation.path.replaceAll(/\{[^}]+\}/g, 'nobody');
    await tryEach(fc.tuple(header, anyText), async ([headers, text]) => {
      for (const authorization of [
        '',
        `Bearer ${encodeURIComponent(text.toWellFormed())}`,
        `Bearer ${keeper.key}`,
      ]) {
        const answer = await send({
          method: operation.method,
          path,
          headers: { ...headers, authorization },
          body: '{}',
        });
        expect([400, 401, 403, 415, 429]).toContain(answer.status);
      }
    });
  });
});

test('afterwards the key is as it was, the server is well, and has no error in its log', async () => {
  const { status, body } = await send({ method: 'GET', path: `/admin/keys/${keeper.id}`, body: '' });
  expect(status).toBe(200);
  expect(JSON.parse(body)).toMatchObject({ name: KEEPER, revoked_at: null, may_admin: false, limits: {} });
  const used = await ask(`${server.url}/generate`, {
    headers: { authorization: `Bearer ${keeper.key}` },
    body: { prompt: 'hello' },
  });
  expect(used.status).toBe(200);
  await expect.poll(() => metric(server, 'llm_serve_requests_running')).toBe(0);
  expect(server.logs().filter(({ level }) => level >= 50)).toEqual([]);
});

function problemsOf(operation: Operation, answer: RawAnswer): readonly string[] {
  if (answer.status >= 500) return [`${answer.status}: ${answer.body}`];
  const isOwn = ![400, 401, 403, 404, 405, 413, 415].includes(answer.status);
  return isOwn ? undescribed(description, operation, answer) : [];
}

async function tryEach<Value>(
  values: fc.Arbitrary<Value>,
  attempt: (value: Value) => Promise<void>,
): Promise<void> {
  const seed = process.env.LLM_TEST_LONG === '1' ? {} : { seed: SEED };
  await fc.assert(fc.asyncProperty(values, attempt), { ...runs(60), ...seed });
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

function send({ method, path, headers = {}, body }: Sent): Promise<RawAnswer> {
  const typed = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
  const key = path.startsWith(OWN_USAGE) ? keeper.key : ADMIN_KEY;
  return new Promise((resolve, reject) => {
    const asking = request({
      ...{ agent, host: '127.0.0.1', port: server.port, path, method },
      headers: { authorization: `Bearer ${key}`, ...(body !== '' && typed), ...headers },
      signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
    });
    asking.once('error', reject);
    asking.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject);
      response.once('end', () => {
        const all = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
        resolve({
          statusLine: `HTTP/1.1 ${response.statusCode} ${response.statusMessage}`,
          status: response.statusCode ?? 0,
          headers: all,
          header: (name) => all.find(([each]) => each === name.toLowerCase())?.[1],
          body: Buffer.concat(chunks).toString(),
        });
      });
    });
    asking.end(body);
  });
}
