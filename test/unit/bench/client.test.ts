/**
 * The client of bench over real connections, on a clock that only the server moves: each token is written, and once the client has seen
 * it, time goes on. So every measured time has one exact value, on a machine of any speed.
 */
import { getEventListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BenchClient, type ClientOptions } from '../../../src/bench/client.ts';
import { httpClient } from '../../../src/bench/http.ts';
import { PROTOCOL_NAMES, PROTOCOLS, type ProtocolName } from '../../../src/bench/protocols.ts';
import { latencyOf, type RequestRecord, tpotOf, ttftOf } from '../../../src/bench/record.ts';
import { type Handler, serve } from '../../support/bench/answering-server.ts';
import { PIECES } from '../../support/bench/paced-answers.ts';

interface SendOptions extends Partial<ClientOptions> {
  readonly name?: ProtocolName;
  readonly signal?: AbortSignal;
  readonly onToken?: () => void;
}

async function send(address: string, options: SendOptions = {}): Promise<RequestRecord> {
  const { name = 'openai-chat', signal = new AbortController().signal, onToken, ...changes } = options;
  const http = httpClient(address, { insecure: false });
  onTestFinished(() => http.close());
  const client = new BenchClient({
    ...{ http, protocol: PROTOCOLS[name], model: 'm', key: undefined, headers: {}, extraBody: {} },
    ...{ ignoreEos: false, wantsUsage: true, timeoutMs: 30_000, now: () => performance.now() },
    ...changes,
  });
  return client.send(
    {
      ...{ index: 3, dueAt: undefined, promptTokens: 20, outputTokens: 8 },
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
    },
    { stepBeganAt: 0, signal, ...(onToken && { onToken }) },
  );
}

/** One answer of tokens after these gaps in milliseconds, on a clock of its own; the end comes `endMs` after the last token. */
async function sendPaced(name: ProtocolName, gapsMs: readonly number[], endMs: number, thoughts = 0) {
  let now = 1000;
  let seen: () => void = () => {};
  const address = await serve(async (_request, response) => {
    const pieces = PIECES[name];
    response.writeHead(200, { 'content-type': pieces.contentType });
    for (const piece of pieces.before) response.write(piece);
    for (const [index, gap] of gapsMs.entries()) {
      now += gap;
      const isSeen = new Promise<void>((resolve) => {
        seen = resolve;
      });
      response.write(index < thoughts ? pieces.thought('hm') : pieces.token(` ${index}`));
      await isSeen;
    }
    now += endMs;
    response.end(pieces.end({ promptTokens: 21, outputTokens: gapsMs.length }).join(''));
  });
  return send(address, { name, now: () => now, onToken: () => seen() });
}

describe.each(PROTOCOL_NAMES)('%s', (name) => {
  it('every time is exactly what the server did', async () => {
    const record = await sendPaced(name, [250, 40, 60.5, 0, 20], 5);
    expect(record).toMatchObject({ index: 3, outcome: 'completed', error: undefined });
    expect(ttftOf(record)).toBe(250);
    expect([...record.gapsMs]).toEqual([40, 60.5, 0, 20]);
    expect(latencyOf(record)).toBe(375.5);
    expect(tpotOf(record)).toBe(125.5 / 4);
    expect(record).toMatchObject({ promptTokens: 21, outputTokens: 5, tokensFrom: 'usage' });
    expect(record.finishReason).toBe(name === 'anthropic' ? 'max_tokens' : 'length');
  });

  it('an answer that breaks off is cut', async () => {
    const pieces = PIECES[name];
    const address = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': pieces.contentType });
      response.write(pieces.before.join('') + pieces.token('a'), () => response.destroy());
    });
    expect(await send(address, { name })).toMatchObject({ outcome: 'failed', error: 'cut', outputTokens: 1 });
  });

  it('an answer that ends without its mark of success is cut', async () => {
    const address = await serve((_request, response) => response.end(PIECES[name].token('a')));
    expect(await send(address, { name })).toMatchObject({ outcome: 'failed', error: 'cut' });
  });
});

it.each(['openai-chat', 'anthropic', 'ollama', 'native'] as const)(
  'the first token of %s may be one of the thoughts',
  async (name) => {
    const record = await sendPaced(name, [100, 10, 10], 0, 2);
    expect(record).toMatchObject({ beganWithReasoning: true, outputTokens: 3 });
    expect(ttftOf(record)).toBe(100);
  },
);

it('tokens without counts of the server are counted as arrivals of text', async () => {
  const { token } = PIECES['openai-chat'];
  const address = await serve((_request, response) =>
    response.end(`${token('a')}${token('b')}data: [DONE]\n\n`),
  );
  expect(await send(address)).toMatchObject({ outcome: 'completed', outputTokens: 2, tokensFrom: 'events' });
});

describe('what goes wrong', () => {
  const json =
    (status: number, body: unknown): Handler =>
    (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
  const { token } = PIECES['openai-chat'];

  it.each([
    ['a full queue', json(503, { error: { message: 'full' } }), 'rejected', 'http_503'],
    ['a rate limit', json(429, {}), 'rejected', 'http_429'],
    ['a server’s error', json(500, 'x'), 'failed', 'http_500'],
    [
      'an error in the stream',
      ((_request, response) =>
        response.end(`${token('a')}data: {"error":{"code":"deadline_exceeded"}}\n\n`)) as Handler,
      'failed',
      'deadline_exceeded',
    ],
    [
      'a queue that the request left in the stream',
      ((_request, response) =>
        response.end(`${token('a')}data: {"error":{"code":"queue_timeout"}}\n\n`)) as Handler,
      'rejected',
      'queue_timeout',
    ],
    [
      'an overload in the stream, by its status',
      ((_request, response) =>
        response.end('data: {"error":{"type":"Overloaded","code":503}}\n\n')) as Handler,
      'rejected',
      'http_503',
    ],
    [
      'an answer without a token',
      ((_request, response) => response.end('data: [DONE]\n\n')) as Handler,
      'failed',
      'empty',
    ],
    [
      'an answer that is no JSON',
      ((_request, response) => response.end('data: <html>\n\ndata: [DONE]\n\n')) as Handler,
      'failed',
      'unreadable',
    ],
    ['a connection that closes', ((request) => request.socket.destroy()) as Handler, 'failed', 'ECONNRESET'],
  ] as const)('%s', async (_, handler, outcome, error) => {
    expect(await send(await serve(handler))).toMatchObject({ outcome, error });
  });

  it('a server that does not answer in time', async () => {
    const address = await serve(() => {});
    expect(await send(address, { timeoutMs: 20 })).toMatchObject({ outcome: 'failed', error: 'timeout' });
  });

  it('no server', async () => {
    expect(await send('http://127.0.0.1:1')).toMatchObject({ outcome: 'failed', error: 'ECONNREFUSED' });
  });

  it('a user who breaks the run off', async () => {
    const stop = new AbortController();
    const address = await serve(() => stop.abort());
    expect(await send(address, { signal: stop.signal })).toMatchObject({ outcome: 'cancelled' });
    expect(await send(address, { signal: stop.signal })).toMatchObject({ outcome: 'cancelled' });
  });
});

it('a kept connection that the server closes before it has seen the request costs no request', async () => {
  const end = `${PIECES['openai-chat'].token('a')}data: [DONE]\n\n`;
  let requests = 0;
  const address = await serve((request, response) => {
    requests += 1;
    // The second request of a connection is what a server does not read that closes it at the same moment.
    const { socket } = request as IncomingMessage & { socket: { isOld?: boolean } };
    if (socket.isOld) return socket.destroy();
    socket.isOld = true;
    return response.end(end);
  });
  const http = httpClient(address, { insecure: false });
  onTestFinished(() => http.close());
  const { signal } = new AbortController();
  const reader = { onHead: () => {}, onData: () => {} };
  const ask = () => http.exchange({ method: 'POST', path: '/', body: '{}' }, reader, signal);
  await ask();
  await ask();
  expect({ requests, listeners: getEventListeners(signal, 'abort') }).toEqual({ requests: 3, listeners: [] });
  expect(await send(address, { http })).toMatchObject({ outcome: 'completed' });
});

it('an overload of Anthropic’s, in a stream that had begun, is a rejection', async () => {
  const { before, token } = PIECES.anthropic;
  const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
  const address = await serve((_request, response) =>
    response.end(`${before.join('')}${token('a')}event: error\ndata: ${JSON.stringify(error)}\n\n`),
  );
  expect(await send(address, { name: 'anthropic' })).toMatchObject({
    ...{ outcome: 'rejected', error: 'overloaded_error' },
  });
});

describe('a request', () => {
  async function bodyOf(options: SendOptions) {
    let seen:
      | { headers: IncomingMessage['headers']; path: string; body: Record<string, unknown> }
      | undefined;
    const address = await serve((request, response, body) => {
      seen = { headers: request.headers, path: request.url ?? '', body: JSON.parse(body) };
      response.end();
    });
    await send(`${address}/prefix`, options);
    return seen!;
  }

  it.each([
    [
      'openai-chat',
      '/v1/chat/completions',
      { max_tokens: 8, stream: true, stream_options: { include_usage: true }, ignore_eos: true },
    ],
    ['openai-completions', '/v1/completions', { prompt: 'Be brief.\n\nHi', max_tokens: 8, ignore_eos: true }],
    [
      'anthropic',
      '/v1/messages',
      { system: 'Be brief.', max_tokens: 8, messages: [{ role: 'user', content: 'Hi' }] },
    ],
    ['ollama', '/api/chat', { options: { num_predict: 8, temperature: 0 } }],
    ['native', '/stream', { max_tokens: 8 }],
  ] as const)(
    'of %s asks for the model, the length and what the protocol has',
    async (name, path, fields) => {
      const { body, path: asked } = await bodyOf({ name, ignoreEos: true });
      expect(asked).toBe(`/prefix${path}`);
      expect(body).toMatchObject({ model: 'm', ...fields });
    },
  );

  it('has the key where the protocol wants it, and the headers that were given', async () => {
    const headers = { 'x-tenant': 'a' };
    const { headers: openai } = await bodyOf({ key: 'k', headers });
    expect(openai).toMatchObject({ authorization: 'Bearer k', 'x-tenant': 'a' });
    const { headers: anthropic } = await bodyOf({ name: 'anthropic', key: 'k' });
    expect(anthropic).toMatchObject({ 'x-api-key': 'k', 'anthropic-version': '2023-06-01' });
  });

  it.each([
    ['openai-chat', 'other', 'false', { reasoning_effort: 'none' }],
    ['openai-chat', 'llm-serve', 'true', { reasoning_effort: 'medium' }],
    ['openai-chat', 'llm-serve', 'low', { reasoning_effort: 'low' }],
    ['openai-chat', 'vllm', 'false', { chat_template_kwargs: { enable_thinking: false } }],
    [
      'openai-chat',
      'vllm',
      'high',
      { chat_template_kwargs: { enable_thinking: true }, reasoning_effort: 'high' },
    ],
    [
      'openai-chat',
      'llama-server',
      'high',
      { chat_template_kwargs: { enable_thinking: true, reasoning_effort: 'high' } },
    ],
    ['anthropic', 'other', 'false', { thinking: { type: 'disabled' } }],
    [
      'anthropic',
      'other',
      'low',
      {
        ...{ thinking: { type: 'enabled', budget_tokens: 1024 }, output_config: { effort: 'low' } },
        temperature: null,
      },
    ],
    ['ollama', 'ollama', 'true', { think: true }],
    ['native', 'llm-serve', 'high', { think: 'high' }],
    ['openai-completions', 'other', 'false', undefined],
  ] as const)('of %s to %s has for --think %s → %o', (name, server, level, fields) => {
    expect(PROTOCOLS[name].think(level, server)).toEqual(fields);
  });

  it('has the fields that were given; null removes one', async () => {
    const { body } = await bodyOf({ extraBody: { top_p: 0.9, temperature: null } });
    expect(body).toMatchObject({ top_p: 0.9 });
    expect(body).not.toHaveProperty('temperature');
  });
});

it('the server’s own times are read from the header and from the end of the answer', async () => {
  const address = await serve((_request, response) => {
    response.writeHead(200, { 'server-timing': 'queue;desc="x";dur=12.5, other;dur=1' });
    const end = {
      choices: [],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
      timings: { upstream_ms: 30, prompt_ms: 8 },
    };
    response.end(`${PIECES['openai-chat'].token('a')}data: ${JSON.stringify(end)}\n\ndata: [DONE]\n\n`);
  });
  expect((await send(address)).server).toEqual({ queueMs: 12.5, upstreamMs: 30, promptMs: 8 });
});
