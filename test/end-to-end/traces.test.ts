/**
 * Traces as a receiver gets them: from the built executable, over OTLP, decoded by the official field numbers. With
 * LLM_TEST_OTEL_COLLECTOR, an OpenTelemetry collector (with the otlp receiver and the otlphttp exporter) receives them, and must
 * have read the same.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startExecutable } from '../support/executable.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { ownPort } from '../support/own-port.ts';
import { whenReady } from '../support/readiness.ts';
import { startServer, TEST_WORKERS } from '../support/server.ts';
import { spanTree } from '../support/span-tree.ts';
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = { traceparent: `00-${TRACE}-b7ad6b7169203331-01`, tracestate: 'vendor=1' };
const MESSAGES = [{ role: 'user', content: 'a question that nobody else reads' }];

/** Differ from run to run. */
const HIDDEN = [
  'llm_serve.request_id',
  'llm_serve.queue_ms',
  'llm_serve.upstream_ms',
  'llm_serve.gateway_ms',
  'llm_serve.batch.id',
  'gen_ai.response.id',
  'gen_ai.response.time_to_first_chunk',
  'server.port',
];

async function post(url: string, body: object, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'm', ...body }),
  });
  return {
    status: response.status,
    id: response.headers.get('x-request-id') ?? '',
    text: await response.text(),
  };
}

function flagsFor(
  targets: readonly object[],
  receiver: Pick<OtlpReceiver, 'url'>,
  ...more: readonly string[]
) {
  const models = JSON.stringify([{ id: 'm', targets }]);
  return ['--models', models, '--rate-limit.enabled', 'false', '--tracing.endpoint', receiver.url, ...more];
}

async function standIn() {
  const server = await startOpenAiStandIn({ model: 'org/model' });
  onTestFinished(() => server.close());
  return { backend: 'vllm', url: server.url, model: 'org/model' };
}

async function traced(targets: readonly object[], ...more: readonly string[]) {
  const receiver = await startOtlpReceiver(onTestFinished);
  const server = await startServer({ flags: flagsFor(targets, receiver, ...more), endsWith: onTestFinished });
  await whenReady(server);
  return { receiver, server };
}

/** Structure without times, which differ from run to run. */
function shapeOf(spans: readonly ReceivedSpan[]): string {
  return spanTree(spans, HIDDEN).replaceAll(/ [\d.]+–[\d.]+ ms/g, '');
}

const lastOf = ({ endedAt, startedAt }: ReceivedSpan) => endedAt - startedAt;

describe('the executable', () => {
  test('sends the spans of a stream, as long as its log line says, in the trace of its caller', async () => {
    const receiver = await startOtlpReceiver(onTestFinished);
    const server = await startExecutable({
      flags: flagsFor([await standIn()], receiver, '--tracing.headers', '{"x-key":"secret"}'),
      environment: {
        OTEL_SERVICE_NAME: 'front',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      },
      endsWith: onTestFinished,
    });
    await whenReady(server);
    const body = { messages: MESSAGES, stream: true, max_tokens: 4, temperature: 0 };
    const { id } = await post(`${server.url}/v1/chat/completions`, body, CALLER);
    const spans = await receiver.received(5);
    expect(shapeOf(spans)).toBe(
      `
POST /v1/chat/completions [server]
  · http.request.method: "POST"
  · url.path: "/v1/chat/completions"
  · url.scheme: "http"
  · http.response.status_code: 200
  · client.address: "127.0.0.1"
  · http.route: "/v1/chat/completions"
  · llm_serve.model: "m"
  · llm_serve.priority: "normal"
  · llm_serve.attempts: 1
  queue [internal]
    · llm_serve.model: "m"
    · llm_serve.batch.size: 1
  chat m [client]
    · gen_ai.operation.name: "chat"
    · gen_ai.provider.name: "openai-compatible"
    · gen_ai.request.model: "m"
    · llm_serve.target: "m/openai-compatible/0"
    · gen_ai.response.model: "org/model"
    · server.address: "127.0.0.1"
    · gen_ai.request.stream: true
    · gen_ai.request.max_tokens: 4
    · gen_ai.request.temperature: 0
    · gen_ai.usage.input_tokens: 6
    · gen_ai.usage.output_tokens: 4
    · gen_ai.response.finish_reasons: ["length"]
    first token [internal]
    stream [internal]`.slice(1),
    );
    const line = await server.requestLine(id);
    const [request, queue, attempt, firstToken, stream] = spans as ReceivedSpan[];
    if (!request || !queue || !attempt || !firstToken || !stream) throw new Error('spans are missing');
    expect(lastOf(request)).toBeCloseTo(Number(line.latencyMs), 1);
    expect(lastOf(queue)).toBeCloseTo(Number(line.queueMs), 1);
    expect(lastOf(attempt)).toBeCloseTo(Number(line.upstreamMs), 1);
    expect(lastOf(firstToken)).toBeCloseTo(Number(line.ttftMs), 1);
    expect(lastOf(stream)).toBeCloseTo(Number(line.generateMs), 1);
    expect(line.traceId).toBe(TRACE);
    expect(spans.every(({ traceId, tracestate }) => traceId === TRACE && tracestate === 'vendor=1')).toBe(
      true,
    );
    expect(request).toMatchObject({
      parentSpanId: 'b7ad6b7169203331',
      flags: 0x301,
      resource: { 'service.name': 'front', 'deployment.environment.name': 'test' },
      scope: { name: 'llm-serve' },
    });
    expect(receiver.paths[0]).toBe('/v1/traces');
    expect(receiver.headers[0]).toMatchObject({
      'x-key': 'secret',
      'content-type': 'application/x-protobuf',
    });
    const { stdout } = await server.stop('SIGINT');
    expect(stdout).not.toContain('secret');
  });

  test('sends what it holds before it ends', async () => {
    const receiver = await startOtlpReceiver(onTestFinished);
    const server = await startExecutable({
      flags: flagsFor([await standIn()], receiver),
      endsWith: onTestFinished,
    });
    await whenReady(server);
    await post(`${server.url}/v1/chat/completions`, { messages: MESSAGES, max_tokens: 2 });
    expect((await server.stop('SIGINT')).exitCode).toBe(0);
    expect(receiver.spans.map(({ name }) => name)).toContain('chat m');
  });
});

test('two servers in a row are one trace', async () => {
  const behind = await traced([await standIn()]);
  const front = await traced([{ backend: 'openai-compatible', url: behind.server.url, model: 'm' }]);
  const body = { messages: MESSAGES, max_tokens: 2, stream: true };
  const { id } = await post(`${front.server.url}/v1/chat/completions`, body);
  const spans = [...(await front.receiver.received(5)), ...(await behind.receiver.received(5))];
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  const servers = spans.filter(({ kind }) => kind === 'server');
  const [first, second] = servers;
  const attempt = spans.find(({ kind, parentSpanId }) => kind === 'client' && parentSpanId === first?.spanId);
  expect(first?.parentSpanId).toBeUndefined();
  expect(second?.parentSpanId).toBe(attempt?.spanId);
  expect(servers.map(({ attributes }) => attributes['llm_serve.request_id'])).toEqual([id, id]);
});

test('each try is a span with its failure, and the next one says what it follows', async () => {
  const failing = createServer((request, response) => {
    const isProbe = request.url !== '/v1/chat/completions';
    response.writeHead(isProbe ? 200 : 500, { 'content-type': 'application/json' });
    response.end(isProbe ? JSON.stringify({ data: [{ id: 'org/model' }] }) : '{}');
  });
  await new Promise<void>((resolve) => failing.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void failing.close());
  const url = `http://127.0.0.1:${(failing.address() as AddressInfo).port}`;
  const { receiver, server } = await traced([
    { backend: 'vllm', model: 'org/model', url, name: 'failing' },
    { ...(await standIn()), name: 'good', role: 'fallback' },
  ]);
  const answer = await post(`${server.url}/v1/chat/completions`, { messages: MESSAGES, max_tokens: 2 });
  expect(answer.status).toBe(200);
  const tries = (await receiver.received(5)).filter(({ name }) => name === 'chat m');
  expect(tries).toMatchObject([
    { isError: true, attributes: { 'llm_serve.target': 'failing', 'error.type': 'server_error' } },
    {
      isError: false,
      attributes: {
        'llm_serve.target': 'good',
        'llm_serve.retry.kind': 'elsewhere',
        'llm_serve.retry.after': 'server_error',
      },
    },
  ]);
  const line = await server.logged(({ msg }) => msg.startsWith('request failed at its backend'));
  expect(line).toMatchObject({ requestId: answer.id });
});

test('each choice of a request has its wait and its try', async () => {
  const { receiver, server } = await traced([await standIn()]);
  await post(`${server.url}/v1/chat/completions`, { messages: MESSAGES, max_tokens: 2, n: 3 });
  const spans = await receiver.received(7);
  const tries = spans.filter(({ name }) => name === 'chat m');
  expect(tries).toHaveLength(3);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(7);
  for (const { attributes } of tries)
    expect(attributes).toMatchObject({ 'gen_ai.request.choice.count': 3, 'gen_ai.usage.output_tokens': 2 });
});

test('an embedding has spans', async () => {
  const { receiver, server } = await traced([await standIn()]);
  expect((await post(`${server.url}/v1/embeddings`, { input: 'a' })).status).toBe(200);
  const spans = await receiver.received(3);
  expect(spans.map(({ name }) => name)).toEqual(['POST /v1/embeddings', 'queue', 'embeddings m']);
});

test('probes, metrics and listings are traced only for a caller who traces them', async () => {
  const { receiver, server } = await traced([await standIn()]);
  await fetch(`${server.url}/metrics`);
  await fetch(`${server.url}/v1/models`);
  await fetch(`${server.url}/v1/models`, { headers: CALLER });
  await post(`${server.url}/nowhere`, {});
  const spans = await receiver.received(2);
  // Two workers may each send one.
  expect(spans.map(({ name }) => name).sort()).toEqual(['GET /v1/models', 'POST']);
});

describe('prompts and answers', () => {
  const ask = (url: string, stream: boolean) =>
    post(`${url}/v1/chat/completions`, { messages: MESSAGES, max_tokens: 4, stream });

  test('are in no span unless the configuration asks for them', async () => {
    const { receiver, server } = await traced([await standIn()]);
    await ask(server.url, true);
    expect(JSON.stringify(await receiver.received(5))).not.toContain('nobody else');
  });

  test.each([true, false])('are in the try that answered where it does, streamed: %s', async (stream) => {
    const { receiver, server } = await traced([await standIn()], '--tracing.content', 'true');
    const { text } = await ask(server.url, stream);
    const attempt = (await receiver.received(3)).find(({ name }) => name === 'chat m');
    const read = (name: string) => JSON.parse(String(attempt?.attributes[name]));
    expect(read('gen_ai.input.messages')).toEqual([
      { role: 'user', parts: [{ type: 'text', content: MESSAGES[0]?.content }] },
    ]);
    const [answer] = read('gen_ai.output.messages');
    expect(answer).toMatchObject({ role: 'assistant', finish_reason: 'length' });
    if (!stream) expect(answer.parts[0].content).toBe(JSON.parse(text).choices[0].message.content);
  });
});

describe('a request that is not sampled', () => {
  test.each([
    ['as its caller says', [], { traceparent: `00-${TRACE}-b7ad6b7169203331-00` }],
    ['by the ratio', ['--tracing.sample-ratio', '0'], {}],
  ])('%s has no spans, and the servers behind are told', async (_, flags, headers) => {
    const behind = await traced([await standIn()]);
    const target = { backend: 'openai-compatible', url: behind.server.url, model: 'm' };
    const { receiver, server } = await traced([target], ...flags);
    await post(`${server.url}/v1/chat/completions`, { messages: MESSAGES, max_tokens: 2 }, headers);
    // One that is sampled: when its spans are there, the others would be too.
    await post(`${server.url}/v1/chat/completions`, { messages: MESSAGES, max_tokens: 2 }, CALLER);
    for (const spans of [await receiver.received(3), await behind.receiver.received(3)])
      expect(spans.every(({ tracestate }) => tracestate === 'vendor=1')).toBe(true);
  });
});

test('a receiver that fails disturbs no request: spans are lost, counted, and it is logged once', async () => {
  const { receiver, server } = await traced([await standIn()]);
  receiver.status = 400;
  const ask = () => post(`${server.url}/v1/chat/completions`, { messages: MESSAGES, max_tokens: 2 });
  const counted = async (outcome: string) => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(new RegExp(`^llm_serve_spans_total\\{outcome="${outcome}"\\} (\\d+)`, 'm').exec(text)?.[1]);
  };
  for (const failed of [3, 6]) {
    expect((await ask()).status).toBe(200);
    await vi.waitFor(async () => expect(await counted('failed')).toBe(failed), { timeout: 120_000 });
  }
  const lost = 'Spans cannot be exported, and are lost until the receiver takes them again';
  const again = 'Spans are exported again';
  await server.logged(({ msg }) => msg === lost);
  const said = server.logs().filter(({ msg }) => msg.startsWith('Spans '));
  expect(new Set(said.map(({ msg }) => msg))).toEqual(new Set([lost]));
  expect(said.length, 'once by each process').toBeLessThanOrEqual(TEST_WORKERS);
  receiver.status = 200;
  let asked = 0;
  while (!server.logs().some(({ msg }) => msg === again)) {
    await ask();
    asked += 1;
    await vi.waitFor(async () => expect(await counted('exported')).toBe(3 * asked), { timeout: 120_000 });
  }
});

const COLLECTOR = process.env.LLM_TEST_OTEL_COLLECTOR;

test('an OpenTelemetry collector reads the same', async ({ skip }) => {
  if (COLLECTOR === undefined || !existsSync(COLLECTOR))
    return skip('there is no OpenTelemetry collector; LLM_TEST_OTEL_COLLECTOR may name one');
  const read = await startOtlpReceiver(onTestFinished);
  const collector = await startCollector(COLLECTOR, read.url);
  const direct = await startOtlpReceiver(onTestFinished);
  const target = await standIn();
  const ask = async (receiver: Pick<OtlpReceiver, 'url'>) => {
    const server = await startServer({ flags: flagsFor([target], receiver), endsWith: onTestFinished });
    await whenReady(server);
    await post(
      `${server.url}/v1/chat/completions`,
      { messages: MESSAGES, max_tokens: 3, stream: true },
      CALLER,
    );
  };
  await ask(collector);
  await ask(direct);
  expect(shapeOf(await read.received(5))).toBe(shapeOf(await direct.received(5)));
  expect(read.spans.every(({ traceId, tracestate }) => traceId === TRACE && tracestate === 'vendor=1')).toBe(
    true,
  );
});

/** Passes what it has read on to `to`, encoded again by itself. */
async function startCollector(executable: string, to: string): Promise<{ readonly url: string }> {
  const port = await ownPort(onTestFinished);
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-collector-'));
  const config = join(folder, 'config.json');
  const settings = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: { otlphttp: { endpoint: to, compression: 'none', sending_queue: { enabled: false } } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { traces: { receivers: ['otlp'], exporters: ['otlphttp'] } },
    },
  };
  writeFileSync(config, JSON.stringify(settings));
  const child = spawn(executable, ['--config', config], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await vi.waitFor(() => fetch(url), { timeout: 120_000, interval: 100 });
  return { url };
}
