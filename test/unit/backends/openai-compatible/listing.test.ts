/** What a probe makes of a list of models that does not answer 200, from servers that keep answering generations. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  OpenAiCompatibleBackend,
  type OpenAiCompatibleTarget,
} from '../../../../src/backends/openai-compatible/backend.ts';
import { silentLog } from '../../../../src/core/log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { chatRequest, generateAll, neverAborted } from '../../../support/stand-ins/generate.ts';
import { recording } from '../../../support/stand-ins/recording.ts';

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const LIMITED: Answer = {
  status: 429,
  body: '{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}',
};
const LOADING: Answer = {
  status: 503,
  body: '{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}',
};
const OVERLOADED: Answer = { status: 503, body: recording('ray-serve/backpressure').body };
const BROKEN: Answer = { status: 502, body: '<html>Bad Gateway</html>' };

/** A server whose answers the test changes as it goes. `asked`: how often its list was. */
async function probed(flavor: 'vllm' | 'generic' | 'auto' = 'generic') {
  const { body, headers } = recording('vllm/models');
  const listed = { status: 200, headers: { server: String(headers.server) }, body };
  const says: { list: Answer; health: Answer } = { list: listed, health: { status: 200 } };
  let asked = 0;
  const server = createServer(({ url }, response) => {
    const isList = url === '/v1/models';
    if (isList) asked += 1;
    const answer = isList ? says.list : url === '/health' ? says.health : { status: 404 };
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(answer.body ?? '{}');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  const target: OpenAiCompatibleTarget = {
    ...{ model: 'smollm2', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    ...{ flavor, connect_timeout_ms: 30_000 },
  };
  const clock = new FakeClock();
  const backend = new OpenAiCompatibleBackend(target, { clock, log: silentLog });
  onTestFinished(() => backend.close());
  /** The states that so many probes find, one a second. */
  const states = async (count: number): Promise<readonly string[]> => {
    const found: string[] = [];
    for (let turn = 0; turn < count; turn += 1) {
      found.push((await backend.probe({ signal: neverAborted() })).state);
      clock.pass(1000);
    }
    return found;
  };
  return { says, listed, states, backend, server, asked: () => asked };
}

describe('a list that is asked too often', () => {
  it('is not asked by requests either, where nobody knows yet what kind of server it is', async () => {
    const { says, states, backend, asked } = await probed('auto');
    says.list = LIMITED;
    await states(1);
    const before = asked();
    await generateAll(backend, chatRequest('hello'));
    await generateAll(backend, chatRequest('hello'));
    expect(asked()).toBe(before);
  });

  it.each([
    ['vllm', LIMITED],
    ['generic', LIMITED],
    ['generic', { status: 408 }],
  ] as const)('leaves a target as it was, however long that lasts (%s, %o)', async (flavor, list) => {
    const { says, states, backend } = await probed(flavor);
    const before = await backend.probe({ signal: neverAborted() });
    expect(before).toMatchObject({ state: 'ready' });
    says.list = list;
    expect(new Set(await states(20))).toEqual(new Set(['ready']));
    expect(await backend.probe({ signal: neverAborted() })).toEqual(before);
  });

  it('is left alone for as long as the server wants, at most a minute, and else for some seconds', async () => {
    const { says, listed, states, asked } = await probed();
    says.list = { ...LIMITED, headers: { 'retry-after': '30' } };
    await states(30);
    expect(asked()).toBe(1);
    says.list = { ...LIMITED, headers: { 'retry-after': '3000' } };
    await states(60);
    expect(asked()).toBe(2);
    says.list = LIMITED;
    await states(10);
    expect(asked()).toBe(4);
    says.list = listed;
    await states(3);
    expect(asked()).toBe(7);
  });

  it('does not keep a target out that nothing is known of: its requests find out', async () => {
    const { says, states } = await probed('generic');
    says.list = LIMITED;
    expect(await states(1)).toEqual(['ready']);
  });

  it('does not hide that an engine is dead', async () => {
    const { says, states } = await probed('vllm');
    await states(1);
    says.list = { ...LIMITED, headers: { 'retry-after': '30' } };
    expect(await states(2)).toEqual(['ready', 'ready']);
    says.health = { status: 503 };
    expect(await states(1)).toEqual(['failed']);
  });

  it('does not decide which server it is: that is asked again', async () => {
    const { says, listed, states, backend } = await probed('auto');
    says.list = LIMITED;
    await states(5);
    says.list = listed;
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
      abilities: ['generate', 'tools'],
    });
  });

  it('is no sign of a server once nothing listens there', async () => {
    const { says, states, server } = await probed('vllm');
    await states(1);
    says.list = LIMITED;
    await states(1);
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
    expect(await states(1)).toEqual(['unreachable']);
  });
});

describe('a list that fails', () => {
  it.each([
    ['vllm', OVERLOADED],
    ['generic', OVERLOADED],
    ['generic', BROKEN],
  ] as const)('once or twice is no reason to give up a target that serves (%s, %o)', async (flavor, list) => {
    const { says, listed, states } = await probed(flavor);
    await states(1);
    says.list = list;
    expect(await states(2)).toEqual(['ready', 'ready']);
    says.list = listed;
    expect(await states(1)).toEqual(['ready']);
    says.list = list;
    expect(await states(4)).toEqual(['ready', 'ready', 'failed', 'failed']);
    says.list = listed;
    expect(await states(1)).toEqual(['ready']);
  });

  it('keeps a target out that has not served yet', async () => {
    const { says, states } = await probed();
    says.list = BROKEN;
    expect(await states(1)).toEqual(['failed']);
  });

  it('while the model is loading has it wait for that, at once', async () => {
    const { says, states } = await probed();
    await states(1);
    says.list = LOADING;
    expect(await states(1)).toEqual(['loading']);
  });

  it('for want of a key is a failure at once', async () => {
    const { says, states } = await probed();
    await states(1);
    says.list = { status: 401 };
    expect(await states(1)).toEqual(['failed']);
  });
});
