/**
 * Every POST route of /openapi.json, over the whole server, with bodies made from its schema: right, nearly right, and none
 * at all. Whatever comes: no 5xx, an answer as described, a stream that says how it ended, and a server that goes on.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DESCRIBED_ADMIN } from '../../src/http/routes/admin.ts';
import { PROTOCOLS } from '../../src/protocols/catalog.ts';
import { type ApiDescription, fetchDescription, undescribed } from '../support/api-description.ts';
import { goldenBodies } from '../support/golden-bodies.ts';
import { ask, metric, type RawAnswer } from '../support/http-client.ts';
import { type KeepAliveClient, keepAliveClient } from '../support/keep-alive-client.ts';
import { asJson, NO_OBJECTS, nearMisses } from '../support/near-misses.ts';
import { runs } from '../support/property-runs.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';
import { streamEnd } from '../support/stream-ends.ts';
import { type BodySchema, type KnownFields, valuesOf } from '../support/values-of-schema.ts';

const POST_ROUTES = PROTOCOLS.flatMap(({ routes }) => routes).filter(({ method }) => method === 'POST');
const ROUTES = POST_ROUTES.map(({ path }) => path);
const GENERATING = POST_ROUTES.filter(({ kind }) => kind === 'generation');

/** What the scripted backend cannot do, or this server's configuration does not allow: only ever refused. */
const NEVER_ANSWERED = new Set([
  '/tokenize',
  '/detokenize',
  '/v1/messages/count_tokens',
  '/v1/responses/input_tokens',
  '/api/pull',
]);

/** A model that there is, a time limit that does not run out, few answers at once; and something to answer. */
const KNOWN_FIELDS: KnownFields = {
  model: () => fc.constant('demo'),
  timeout_ms: () => fc.constant(60_000),
  n: () => fc.constantFrom(1, 2),
  max_tokens: () => fc.constantFrom(1, 5, 100),
  role: (own) => fc.oneof({ weight: 4, arbitrary: fc.constant('user') }, { weight: 1, arbitrary: own }),
  content: (own) =>
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('one two', [{ type: 'text', text: 'three' }]) },
      { weight: 1, arbitrary: own },
    ),
};

/** So that a model that fails after two tokens comes that far: with something to say, and nothing that ends it before. */
const FIELDS_OF_FAILING: KnownFields = {
  ...KNOWN_FIELDS,
  model: () => fc.constant('failing'),
  stream: () => fc.constant(true),
  messages: (own) => own.filter((messages) => Array.isArray(messages) && messages.length > 0),
  // Where there are messages too, only without.
  prompt: () => fc.constantFrom('one two', undefined),
  input: () => fc.constant('one two'),
  content: () => fc.constant('one two'),
  ...Object.fromEntries(
    ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'num_predict'].map((name) => [
      name,
      () => fc.constant(100),
    ]),
  ),
  stop: () => fc.constant(undefined),
  stop_sequences: () => fc.constant(undefined),
};

/** Bodies from the golden transcripts, to be spoilt. */
const GOLDEN = goldenBodies();

const FAILING = { id: 'failing', target: { fail: 'mid-stream', fail_after_tokens: 2 } };
const SEED = 20_26;
const ends = endingAfterAll();
let server: RunningServer;
let client: KeepAliveClient;
let description: ApiDescription;

beforeAll(async () => {
  server = await startServer({ flags: scriptedFlags({}, FAILING), endsWith: ends });
  client = keepAliveClient(server);
  description = await fetchDescription(server);
});
afterAll(() => client.close());

test('every POST route that is described and takes a body is tried', () => {
  // Those of administrators are tried elsewhere.
  const administrators = DESCRIBED_ADMIN.filter(({ method }) => method === 'POST').map(({ path }) => path);
  const described = Object.entries(description.paths).filter(([, operations]) => 'post' in operations);
  expect(described.map(([path]) => path).sort()).toEqual([...ROUTES, ...administrators].sort());
});

describe.each(ROUTES)('%s', (path) => {
  test('answers or refuses what its schema allows', async () => {
    const statuses = await tryAll(path, bodiesOf(path).map(asJson));
    if (!NEVER_ANSWERED.has(path)) expect(statuses).toContain(200);
  });

  test('answers or refuses what is nearly right', async () => {
    await tryAll(path, nearMisses(bodiesOf(path)));
    const golden = GOLDEN.get(path) ?? [];
    expect(golden).not.toEqual([]);
    await tryAll(path, nearMisses(fc.constantFrom(...golden).map((body) => ({ ...body, ...limits(body) }))));
  });

  test('refuses what is no JSON object in UTF-8', async () => {
    for (const body of NO_OBJECTS) {
      const answer = await client.post(path, body);
      expect({
        status: answer.status,
        problems: problemsOf(path, answer),
        body: body.toString().slice(0, 80),
      }).toMatchObject({
        status: 400,
        problems: [],
      });
    }
  });
});

test.each(GENERATING)(
  'what fails midway on $path never looks like a success',
  async ({ path, describes }) => {
    const ends = new Set<string | undefined>();
    await tryEach(bodiesOf(path, FIELDS_OF_FAILING).map(asJson), async (body) => {
      const answer = await client.post(path, body);
      const contentType = contentTypeOf(answer);
      expect(undescribed(description, { method: 'POST', path }, answer)).toEqual([]);
      // To load or unload a model is to generate nothing.
      if (answer.status !== 200 || /"done_reason":"(un)?load"/.test(answer.body)) return;
      expect(isStream(contentType)).toBe(true);
      const end = streamEnd(contentType, answer.body);
      expect(end).toBe('failure');
      ends.add(end);
    });
    if (Object.keys(describes.answers).some(isStream)) expect(ends).toContain('failure');
  },
);

test('afterwards nothing is under way, and the server is well', async () => {
  expect((await ask(`${server.url}/health`)).status).toBe(200);
  for (const name of ['requests_running', 'slots_used', 'requests_waiting'])
    await expect.poll(() => metric(server, `llm_serve_${name}`), { message: name }).toBe(0);
  expect(server.logs().filter(({ level }) => level >= 50)).toEqual([]);
});

function bodiesOf(path: string, known = KNOWN_FIELDS): fc.Arbitrary<unknown> {
  const schema = description.paths[path]?.post?.requestBody?.content['application/json']?.schema;
  return valuesOf((schema ?? {}) as BodySchema, known);
}

function limits(body: object): object {
  return 'timeout_ms' in body ? { timeout_ms: 60_000 } : {};
}

/** The statuses that were answered. */
async function tryAll(path: string, bodies: fc.Arbitrary<string>): Promise<ReadonlySet<number>> {
  const statuses = new Set<number>();
  await tryEach(bodies, async (body) => {
    const answer = await client.post(path, body);
    statuses.add(answer.status);
    expect(problemsOf(path, answer)).toEqual([]);
  });
  return statuses;
}

/** The body that failed is in the message. */
async function tryEach(
  bodies: fc.Arbitrary<string>,
  attempt: (body: string) => Promise<void>,
): Promise<void> {
  const isLong = process.env.LLM_TEST_LONG === '1';
  const seed = isLong ? {} : { seed: SEED };
  await fc.assert(fc.asyncProperty(bodies, attempt), { ...runs(60), ...seed });
}

function problemsOf(path: string, answer: RawAnswer): readonly string[] {
  if (answer.status >= 500) return [`${answer.status}: ${answer.body}`];
  const contentType = contentTypeOf(answer);
  const hasNoEnd = isStream(contentType) && streamEnd(contentType, answer.body) === undefined;
  return [
    ...undescribed(description, { method: 'POST', path }, answer),
    ...(hasNoEnd ? [`it has no end, or more than that: ${answer.body}`] : []),
  ];
}

function contentTypeOf(answer: RawAnswer): string {
  return answer.header('content-type')?.split(';')[0] ?? '';
}

function isStream(contentType: string): boolean {
  return contentType === 'text/event-stream' || contentType === 'application/x-ndjson';
}
