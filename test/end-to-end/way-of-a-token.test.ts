/** ARCHITECTURE.md promises how few files a streamed token passes; here they are counted, by what runs between two tokens. */
import { createServer, type ServerResponse } from 'node:http';
import { Session } from 'node:inspector/promises';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { startServer } from '../support/server.ts';

/** Files that see a token pass and do not carry it: clocks, watches, counts, metrics, records of what was sent, and checks of what a server has sent. */
const OBSERVERS =
  /^(compose|compose-telemetry|system-clock|telemetry\/.*|serving\/(slot|progress-watch|token-count|resumable-answer|resume-matcher)|upstream\/(untyped|malformed-events))\.ts$/;
/** Beside some of them a probe runs. */
const TOKENS = 20;

/** A server that sends one token whenever the test asks for it. */
async function startUpstream(framed: (text: string) => string) {
  let open: ServerResponse | undefined;
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'GET' || request.url === '/api/show') {
      const models = [{ name: 'demo:latest', model: 'demo:latest', digest: 'a'.repeat(64), details: {} }];
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'demo', object: 'model' }], models }));
      return;
    }
    open = response;
    response.write(framed('first'));
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  onTestFinished(() => server.closeAllConnections());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, send: (text: string) => open?.write(framed(text)) };
}

it.each([
  {
    backend: 'openai-compatible',
    base: '/v1',
    framed: (content: string) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`,
  },
  {
    backend: 'ollama',
    base: '',
    framed: (content: string) =>
      `${JSON.stringify({ message: { role: 'assistant', content }, done: false })}\n`,
  },
])('a token of a remote server ($backend) passes eleven files at most', async ({ backend, base, framed }) => {
  const upstream = await startUpstream(framed);
  const targets = [{ backend, url: upstream.url + base, model: 'demo' }];
  const server = await startServer({
    flags: ['--models', JSON.stringify([{ id: 'demo', targets }])],
    endsWith: onTestFinished,
  });
  await server.logged(({ msg }) => msg === 'target is ready');
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', stream: true, messages: [{ role: 'user', content: 'hi' }] }),
  });
  const body = response.body?.getReader();
  await body?.read();

  const session = new Session();
  session.connect();
  onTestFinished(() => session.disconnect());
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  const passed: Set<string>[] = [];
  for (let token = 0; token < TOKENS; token += 1) {
    await session.post('Profiler.takePreciseCoverage');
    upstream.send(`token ${token}`);
    await body?.read();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const ran = result.filter(({ functions }) =>
      functions.some(({ functionName, ranges }) => functionName !== '' && (ranges[0]?.count ?? 0) > 0),
    );
    passed.push(new Set(ran.flatMap(({ url }) => /\/src\/(.*\.ts)/.exec(url)?.[1] ?? [])));
  }
  await body?.cancel();
  // What runs with every token.
  const files = [...(passed[0] ?? [])].filter((file) => passed.every((others) => others.has(file)));
  const carriers = files.filter((file) => !OBSERVERS.test(file)).sort();
  expect(carriers).toContain('http/stream-writer.ts');
  expect(carriers.length, carriers.join('\n')).toBeLessThanOrEqual(11);
});
