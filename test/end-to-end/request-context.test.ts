/** What goes along with a client's request to the servers behind: its id, its place in a trace, and its end user. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { whenReady } from '../support/readiness.ts';
import { startServer } from '../support/server.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Answers in the shape of each route that is asked here; keeps what a client's request caused, not probes. */
async function backend(): Promise<{ readonly url: string; readonly seen: Readonly<Record<string, Seen>> }> {
  const seen: Record<string, Seen> = {};
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const body = text === '' ? {} : JSON.parse(text);
      if (request.headers['x-request-id'] !== undefined)
        seen[request.url ?? ''] = { headers: request.headers, body };
      response.setHeader('content-type', 'application/json');
      const answer = ANSWERS[request.url ?? ''];
      response.statusCode = answer === undefined ? 404 : 200;
      response.end(JSON.stringify(answer ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const usage = { prompt_tokens: 1, completion_tokens: 1 };
const ANSWERS: Readonly<Record<string, unknown>> = {
  '/v1/models': { data: [{ id: 'm' }] },
  '/health': {},
  '/v1/chat/completions': { choices: [{ message: { content: 'a' }, finish_reason: 'stop' }], usage },
  '/v1/completions': { choices: [{ text: 'a', finish_reason: 'stop' }], usage },
  '/v1/embeddings': { data: [{ index: 0, embedding: [1] }], usage },
  '/tokenize': { tokens: [1] },
  '/api/version': { version: '0.13.0' },
  '/api/tags': { models: [{ name: 'm:latest', model: 'm:latest', digest: 'a'.repeat(64) }] },
  '/api/ps': {
    models: [{ name: 'm:latest', model: 'm:latest', digest: 'a'.repeat(64), context_length: 4096 }],
  },
  '/api/show': { capabilities: ['completion'] },
  '/api/chat': {
    message: { content: 'a' },
    done: true,
    done_reason: 'stop',
    prompt_eval_count: 1,
    eval_count: 1,
  },
  '/api/generate': { model: 'm', response: '', done: true, done_reason: 'load' },
  '/api/embed': { embeddings: [[1]], prompt_eval_count: 1 },
};

async function serverBefore(url: string, target: object) {
  const models = [{ id: 'm', targets: [{ url, model: 'm', ...target }] }];
  const server = await startServer({
    flags: ['--models', JSON.stringify(models), '--rate-limit.enabled', 'false'],
    endsWith: onTestFinished,
  });
  await whenReady(server);
  return server;
}

async function post(url: string, body: object, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'm', ...body }),
  });
  return { status: response.status, id: response.headers.get('x-request-id'), text: await response.text() };
}

const MESSAGES = { messages: [{ role: 'user', content: 'a' }] };

describe('a request of a client', () => {
  const TRACED = { 'x-request-id': 'mine-1', traceparent: TRACEPARENT, tracestate: 'vendor=1,other=2' };

  test.each([
    ['chat', 'vllm', '/v1/chat/completions', MESSAGES, '/v1/chat/completions'],
    ['text completion', 'vllm', '/v1/completions', { prompt: 'a' }, '/v1/completions'],
    ['embedding', 'vllm', '/v1/embeddings', { input: 'a' }, '/v1/embeddings'],
    ['count of tokens', 'vllm', '/tokenize', { prompt: 'a' }, '/tokenize'],
    ['chat', 'ollama', '/v1/chat/completions', MESSAGES, '/api/chat'],
    ['embedding', 'ollama', '/v1/embeddings', { input: 'a' }, '/api/embed'],
  ])('(%s, %s) takes its id and its trace along, as they are', async (_, kind, path, body, there) => {
    const { url, seen } = await backend();
    const server = await serverBefore(url, { backend: kind });
    const answer = await post(`${server.url}${path}`, body, TRACED);
    expect(answer).toMatchObject({ status: 200, id: 'mine-1' });
    expect(seen[there]?.headers).toMatchObject(TRACED);
  });

  test('without an id takes the one along that its answer and its log line have', async () => {
    const { url, seen } = await backend();
    const server = await serverBefore(url, { backend: 'vllm' });
    const { id } = await post(`${server.url}/v1/chat/completions`, MESSAGES);
    const { headers } = seen['/v1/chat/completions'] ?? {};
    expect(headers?.['x-request-id']).toBe(id);
    expect(headers).not.toHaveProperty('traceparent');
    expect(headers).not.toHaveProperty('tracestate');
  });

  test('with a wrong traceparent takes no trace along, and is answered', async () => {
    const { url, seen } = await backend();
    const server = await serverBefore(url, { backend: 'vllm' });
    const wrong = { traceparent: `${TRACEPARENT}0`, tracestate: 'vendor=1' };
    expect((await post(`${server.url}/v1/chat/completions`, MESSAGES, wrong)).status).toBe(200);
    expect(seen['/v1/chat/completions']?.headers).not.toHaveProperty('traceparent');
    expect(seen['/v1/chat/completions']?.headers).not.toHaveProperty('tracestate');
  });
});

describe('the end user that a body names', () => {
  const named = { user: 'someone', safety_identifier: 's', prompt_cache_key: 'k' };

  test.each([
    ['/v1/chat/completions', MESSAGES, '/v1/chat/completions'],
    ['/v1/completions', { prompt: 'a' }, '/v1/completions'],
    ['/v1/responses', { input: 'a' }, '/v1/chat/completions'],
    ['/v1/embeddings', { input: 'a' }, '/v1/embeddings'],
  ])('in %s goes along, and nothing that the server may not know', async (path, body, there) => {
    const { url, seen } = await backend();
    const server = await serverBefore(url, { backend: 'openai-compatible', flavor: 'generic' });
    expect((await post(`${server.url}${path}`, { ...body, ...named })).status).toBe(200);
    expect(seen[there]?.body).toMatchObject({ user: 'someone' });
    expect(seen[there]?.body).not.toHaveProperty('safety_identifier');
    expect(seen[there]?.body).not.toHaveProperty('prompt_cache_key');
  });

  test('goes along with the other names that the target is to get', async () => {
    const { url, seen } = await backend();
    const pass_fields = ['safety_identifier', 'prompt_cache_key'];
    const server = await serverBefore(url, { backend: 'openai-compatible', flavor: 'generic', pass_fields });
    await post(`${server.url}/v1/chat/completions`, { ...MESSAGES, ...named });
    expect(seen['/v1/chat/completions']?.body).toMatchObject(named);
  });
});

describe('a router in front of engines', () => {
  const ROUTER = {
    backend: 'vllm',
    router: 'llm-d',
    router_ttft_ms: 5000,
    router_tpot_ms: 50,
    router_objectives: { high: 'premium', normal: 'standard', low: 'batch' },
  };
  const CLIENT = 'x-llm-d-inference-fairness-id';
  const CHAT = '/v1/chat/completions';

  async function serverWithKeys(url: string, target: object) {
    const models = [{ id: 'm', targets: [{ url, model: 'm', ...target }] }];
    const server = await startServer({
      flags: ['--models', JSON.stringify(models), '--rate-limit.enabled', 'false'],
      environment: { LLM_SERVE_AUTH__API_KEYS: JSON.stringify(KEYS) },
      endsWith: onTestFinished,
    });
    await whenReady(server);
    return server;
  }
  const KEYS = ['a-key-of-one-client', 'a-key-of-another-client'];
  const withKey = (index: number) => ({ authorization: `Bearer ${KEYS[index]}` });

  test('is told whose request it is, by an id that only the key decides', async () => {
    const { url, seen } = await backend();
    const server = await serverWithKeys(url, ROUTER);
    const toldOf = async (index: number, headers: Readonly<Record<string, string>> = {}) => {
      const { status } = await post(
        `${server.url}${CHAT}`,
        { ...MESSAGES, user: 'x' },
        { ...headers, ...withKey(index) },
      );
      expect(status).toBe(200);
      return seen[CHAT]?.headers ?? {};
    };
    const one = await toldOf(0);
    const other = await toldOf(1);
    expect(one[CLIENT]).toMatch(/^[0-9a-f]{32}$/);
    expect(other[CLIENT]).not.toBe(one[CLIENT]);
    expect(JSON.stringify(one)).not.toContain(KEYS[0]);
    const asserted = {
      [CLIENT]: String(other[CLIENT]),
      'x-gateway-inference-fairness-id': 'mine',
      'x-llm-d-inference-objective': 'premium',
      'x-llm-d-slo-ttft-ms': '1',
    };
    const told = await toldOf(0, asserted);
    expect(told[CLIENT]).toBe(one[CLIENT]);
    expect(told).not.toHaveProperty('x-gateway-inference-fairness-id');
    expect(told['x-llm-d-inference-objective']).toBe('standard');
    expect(Number(told['x-llm-d-slo-ttft-ms'])).toBeGreaterThan(1);
  });

  test('is told the granted priority’s objective and what is left of the client’s own time limit', async () => {
    const { url, seen } = await backend();
    const server = await serverWithKeys(url, ROUTER);
    const hints = { 'x-request-priority': 'low', 'x-request-timeout-ms': '4000' };
    await post(`${server.url}${CHAT}`, MESSAGES, { ...hints, ...withKey(0) });
    const told = seen[CHAT]?.headers ?? {};
    expect(told['x-llm-d-inference-objective']).toBe('batch');
    expect(told['x-llm-d-slo-tpot-ms']).toBe('50');
    expect(Number(told['x-llm-d-slo-ttft-ms'])).toBeLessThanOrEqual(4000);
    await post(`${server.url}/v1/embeddings`, { input: 'a' }, withKey(0));
    expect(seen['/v1/embeddings']?.headers[CLIENT]).toBe(told[CLIENT]);
  });

  test('hears nothing of it where no router is configured', async () => {
    const { url, seen } = await backend();
    const server = await serverWithKeys(url, { backend: 'vllm' });
    await post(`${server.url}${CHAT}`, MESSAGES, withKey(0));
    const names = Object.keys(seen[CHAT]?.headers ?? {});
    expect(names.filter((name) => /llm-d|gateway|slo/.test(name))).toEqual([]);
  });
});
