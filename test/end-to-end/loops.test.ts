/** Servers whose targets lead back to them: noticed by the probe where it is one's own, and by the request where another is between. */
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { ask, generate } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { startServer } from '../support/server.ts';
import { startOllamaStandIn } from '../support/stand-ins/ollama-stand-in.ts';

/** An address that is known before the server behind it is, as that of a load balancer. */
async function forwarder(): Promise<{ readonly url: string; to(port: number): void }> {
  let port = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const other = connect(port, '127.0.0.1');
    for (const socket of [client, other]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => [client, other].forEach((each) => void each.destroy()));
    }
    client.pipe(other).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port: own } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${own}`,
    to: (target) => {
      port = target;
    },
  };
}

const target = (url: string, more: object = {}) => ({
  backend: 'openai-compatible',
  url,
  model: 'm',
  ...more,
});

function serverWith(...targets: readonly object[]) {
  return startServer({
    flags: ['--models', JSON.stringify([{ id: 'm', targets }]), '--rate-limit.enabled', 'false'],
    endsWith: onTestFinished,
  });
}

test.each([
  ['openai-compatible', {}],
  ['openai-compatible', { flavor: 'vllm' }],
  ['ollama', {}],
])(
  'a target that is this server itself, as %s %j, fails its probe, and the log says why',
  async (backend, more) => {
    const front = await forwarder();
    const server = await serverWith(target(front.url, { backend, ...more }));
    front.to(server.port);
    const line = await server.logged(({ msg }) => String(msg).startsWith('target is failed'));
    expect(line).toMatchObject({
      msg: 'target is failed: The target is this server itself, or leads back to it. Change its url.',
      target: `m/${backend}/0`,
      health: 'down',
    });
    const ready = await ask(`${server.url}/ready`);
    expect(ready.status).toBe(503);
    expect(ready.json()).toMatchObject({
      reason: 'backend_failed',
      models: [{ targets: [{ status: 'failed', health: 'down' }] }],
    });
    const refused = await generate(server, { prompt: 'hello' });
    expect(refused.json().error.code).toBe('no_backend_available');
  },
);

test('two servers that are each other’s target answer 508 instead of asking each other for ever', async () => {
  const front = await forwarder();
  const one = await serverWith(target(front.url));
  const other = await serverWith(target(one.url));
  front.to(other.port);
  await Promise.all([whenReady(one), whenReady(other)]);
  for (const path of ['/generate', '/stream']) {
    const answer = await ask(`${one.url}${path}`, { body: { prompt: 'hello' } });
    expect(answer.status, answer.text).toBe(508);
    expect(answer.json().error.code).toBe('loop_detected');
  }
  const embedded = await ask(`${one.url}/embed`, { body: { input: 'hello' } });
  expect(embedded.status, embedded.text).toBe(508);
});

test('two servers that are each other’s target do not count tokens for ever', async () => {
  const front = await forwarder();
  const one = await serverWith(target(front.url, { flavor: 'vllm' }));
  const other = await serverWith(target(one.url, { flavor: 'vllm' }));
  front.to(other.port);
  await Promise.all([whenReady(one), whenReady(other)]);
  const answer = await ask(`${one.url}/tokenize`, { body: { model: 'm', prompt: 'hello' } });
  expect(answer.status, answer.text).toBe(508);
});

test('a request with forged hops fails alone: its targets stay in service, and no other one is asked', async () => {
  const model = await startOllamaStandIn({});
  onTestFinished(() => model.close());
  const behind = { backend: 'ollama', url: model.url, model: model.model };
  const targets = await Promise.all([serverWith(behind), serverWith(behind)]);
  const front = await serverWith(...targets.map(({ url }) => target(url)));
  await Promise.all([...targets, front].map((server) => whenReady(server)));
  const forged = Array.from({ length: 7 }, (_, index) => `forged-${index}`).join(', ');
  for (const delivery of [
    '/generate',
    '/stream',
    '/generate',
    '/generate',
    '/generate',
    '/generate',
    '/generate',
  ]) {
    const headers = { 'x-llm-serve-hops': forged };
    const refused = await ask(`${front.url}${delivery}`, { body: { prompt: 'hello' }, headers });
    expect([refused.status, refused.headers['x-attempts']]).toEqual([508, '1']);
  }
  const ready = await ask(`${front.url}/ready`);
  const targetsInService = [{ health: 'ready' }, { health: 'ready' }];
  expect(ready.json()).toMatchObject({ models: [{ targets: targetsInService }] });
  const tooMany = { 'x-llm-serve-hops': `${forged}, forged-7` };
  const refused = await ask(`${front.url}/generate`, { body: { prompt: 'hello' }, headers: tooMany });
  expect([refused.status, refused.headers['x-attempts']]).toEqual([508, '0']);
  expect((await generate(front, { prompt: 'hello' })).status).toBe(200);
});

test('three servers in a row are no loop', async () => {
  const model = await startOllamaStandIn({});
  onTestFinished(() => model.close());
  const last = await serverWith({ backend: 'ollama', url: model.url, model: model.model });
  const middle = await serverWith(target(last.url));
  const first = await serverWith(target(`${middle.url}/v1`));
  await Promise.all([last, middle, first].map((server) => whenReady(server)));
  const answer = await generate(first, { prompt: 'count from one to five please' });
  expect(answer.status, answer.text).toBe(200);
  expect(answer.json().text).not.toBe('');
});
