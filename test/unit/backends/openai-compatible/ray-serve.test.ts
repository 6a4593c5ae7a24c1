/** What Ray Serve's proxy says, as recorded from Ray 2.60.0: no application yet, a full queue, a replica that was killed. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import {
  OpenAiCompatibleBackend,
  type OpenAiCompatibleTarget,
} from '../../../../src/backends/openai-compatible/backend.ts';
import { silentLog } from '../../../../src/core/log.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { chatRequest, generateAll, neverAborted } from '../../../support/stand-ins/generate.ts';
import { type Recording, recording } from '../../../support/stand-ins/recording.ts';

/** Framing is made anew. */
const NOT_PLAYED = ['transfer-encoding', 'content-length', 'connection', 'date'];

const proxyThatSays = (name: string, how?: Parameters<typeof serverThatSays>[1]) =>
  serverThatSays(recording(`ray-serve/${name}`), how);

/** Gives one answer to every request; `cut`: and then closes the connection without an end, as recorded. */
async function serverThatSays(
  { status, headers, body }: Recording,
  { cut = false, flavor = 'generic' }: { cut?: boolean; flavor?: 'vllm' | 'generic' } = {},
) {
  const server = createServer((_, response) => {
    for (const [header, value] of Object.entries(headers))
      if (!NOT_PLAYED.includes(header)) response.setHeader(header, value);
    response.writeHead(status);
    if (cut) response.write(body, () => response.destroy());
    else response.end(body);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  const target: OpenAiCompatibleTarget = {
    ...{ model: 'small', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    ...{ flavor, connect_timeout_ms: 30_000 },
  };
  const backend = new OpenAiCompatibleBackend(target, { clock: systemClock, log: silentLog });
  onTestFinished(() => backend.close());
  return backend;
}

it.each(['vllm', 'generic'] as const)('a proxy without an application is not ready (%s)', async (flavor) => {
  const backend = await proxyThatSays('no-application', { flavor });
  expect(await backend.probe({ signal: neverAborted() })).toEqual({
    state: 'failed',
    loaded: false,
    detail: expect.stringContaining('Ray Serve') as string,
  });
});

it('a server without a list, that has the manners of such a proxy, is one all the same', async () => {
  const backend = await serverThatSays({
    status: 404,
    headers: { server: 'uvicorn', 'content-type': 'text/plain; charset=utf-8', 'x-request-id': 'c14eca6b' },
    body: 'Not Found',
  });
  expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready' });
});

it('a full queue is an overloaded server: the request is tried elsewhere, or again', async () => {
  const backend = await proxyThatSays('backpressure');
  const { error } = await generateAll(backend, chatRequest('hello'));
  expect(error).toMatchObject({ code: 'no_backend_available', failure: 'overloaded' });
});

it('a replica that is killed before it answers is a fault of the server', async () => {
  const backend = await proxyThatSays('replica-killed-whole');
  const { error } = await generateAll(backend, chatRequest('hello'), neverAborted(), { delivery: 'whole' });
  expect(error).toMatchObject({ code: 'backend_error', failure: 'server_error' });
});

it('a replica that is killed while it streams leaves an answer that is cut, not one that is complete', async () => {
  const backend = await proxyThatSays('replica-killed-stream', { cut: true });
  const { error, events } = await generateAll(backend, chatRequest('hello'));
  expect(error).toMatchObject({ failure: 'cut' });
  expect(events.some(({ type }) => type === 'finish')).toBe(false);
  expect(events.length).toBeGreaterThan(10);
});
