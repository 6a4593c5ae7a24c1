/** A whole run against stand-ins: what is found out about a server, what ends a run early, and what is left behind. */
import { describe, expect, it } from 'vitest';
import { type BenchOptions, runBench } from '../../../src/bench/run.ts';
import { type BenchFlags, readSettings } from '../../../src/bench/settings.ts';
import { systemClock } from '../../../src/system-clock.ts';
import { type Handler, serve, startAnswering } from '../../support/bench/answering-server.ts';
import { PIECES } from '../../support/bench/paced-answers.ts';

const SMALL: BenchFlags = { concurrency: '2', requests: '4', warmup: '0', outputTokens: '4' };

function run(address: string, flags: BenchFlags = {}, options: Partial<BenchOptions> = {}) {
  return runBench({
    ...{ addresses: [address], key: undefined, dataset: undefined, clock: systemClock },
    settings: readSettings({ ...SMALL, ...flags }, options.addresses?.length),
    signal: new AbortController().signal,
    ...{ onServer: () => {}, onProgress: () => {}, onStep: () => {} },
    ...options,
  });
}

const json =
  (body: unknown): Handler =>
  (_request, response) =>
    response.end(JSON.stringify(body));
const html: Handler = (_request, response) => response.end('<!doctype html><title>Shop</title>');

/** By path; 404 for the others. */
function byPath(handlers: Readonly<Record<string, Handler>>): Handler {
  return (request, response, body) => {
    const handler = handlers[request.url ?? ''];
    if (handler === undefined) return response.writeHead(404).end('{}');
    return handler(request, response, body);
  };
}

const VLLM_MODELS = json({ object: 'list', data: [{ id: 'large', object: 'model', owned_by: 'vllm' }] });
const { token, end } = PIECES['openai-chat'];
const ANSWER = `${token('a')}${token('b')}${end({ promptTokens: 20, outputTokens: 2 }).join('')}`;
const chat: Handler = (_request, response) => response.end(ANSWER);
const OPENAI = { '/v1/models': VLLM_MODELS, '/v1/chat/completions': chat };

/** Answers so many chat requests; at the next one, which gets no answer, `then` is called. */
function answeringFirst(count: number, then: () => unknown): Handler {
  let asked = 0;
  return byPath({
    ...OPENAI,
    '/v1/chat/completions': (request, response, body) => {
      asked += 1;
      return asked > count ? then() : chat(request, response, body);
    },
  });
}

describe('what answers', () => {
  const OLLAMA = {
    '/api/version': json({ version: '0.32.15' }),
    '/api/tags': json({ models: [{ name: 'small:latest', model: 'small:latest' }] }),
    '/api/chat': ((_request, response) =>
      response.end(
        PIECES.ollama.token('a') + PIECES.ollama.end({ promptTokens: 9, outputTokens: 1 }),
      )) as Handler,
  };
  const ANTHROPIC = {
    '/v1/models': json({ data: [{ type: 'model', id: 'c', display_name: 'C' }], has_more: false }),
    '/v1/messages': ((_request, response) =>
      response.end(
        PIECES.anthropic.before.join('') +
          PIECES.anthropic.token('a') +
          PIECES.anthropic.end({ promptTokens: 9, outputTokens: 1 }).join(''),
      )) as Handler,
  };

  it.each([
    ['vLLM', { ...OPENAI, '/version': json({ version: '0.32.0' }) }, 'vLLM 0.32.0', 'openai-chat', 'large'],
    [
      'llama-server',
      { ...OPENAI, '/v1/models': json({ data: [{ id: 'smollm2', object: 'model', owned_by: 'llamacpp' }] }) },
      ...(['llama-server', 'openai-chat', 'smollm2'] as const),
    ],
    ['Ollama', OLLAMA, 'Ollama 0.32.15', 'ollama', 'small:latest'],
    ['Anthropic', ANTHROPIC, 'an Anthropic server', 'anthropic', 'c'],
    [
      'another server of the OpenAI protocol',
      { ...OPENAI, '/v1/models': json({ data: [{ id: 'm', object: 'model', owned_by: 'me' }] }) },
      ...(['a server of the OpenAI protocol', 'openai-chat', 'm'] as const),
    ],
  ])('%s is known by its answers, and asked in its protocol', async (_, handlers, name, protocol, model) => {
    const { server, model: asked, steps } = await run(await serve(byPath(handlers)));
    expect({ name: server.name, protocol: server.protocol, model: asked }).toEqual({ name, protocol, model });
    expect(steps[0]?.measures).toMatchObject({ completed: 4, failed: 0 });
  });

  it.each([
    ['pages of another site', html, 'cannot be measured: it speaks no protocol that is known here'],
    [
      'a redirection',
      ((_request, response) =>
        response.writeHead(301, { location: 'https://x.example/v1/models' }).end()) as Handler,
      'cannot be measured: it redirects to https://x.example/v1/models. Give that address.',
    ],
    [
      'a server without a model',
      byPath({
        '/v1/models': json({ data: [] }),
        '/v1/chat/completions': ((_, response) => response.writeHead(400).end('{"error":{}}')) as Handler,
      }),
      'lists no model. Name one with --model.',
    ],
    [
      'a server that wants a key',
      ((_request, response) => response.writeHead(401).end('{}')) as Handler,
      'it wants an API key (401). Give one with --key',
    ],
    [
      'a refusal of the first request',
      byPath({
        ...OPENAI,
        '/v1/chat/completions': (_request, response) =>
          response.writeHead(404).end('{"error":"no such model"}'),
      }),
      'refused the first request (http_404): {"error":"no such model"}',
    ],
  ])('%s is told', async (_, handler, message) => {
    await expect(run(await serve(handler))).rejects.toThrow(message);
  });
});

it('a header is part of every request, also of those by which the server is found out', async () => {
  const missing: string[] = [];
  const address = await serve((request, response, body) => {
    if (request.headers['x-tenant'] === 'a')
      return byPath({
        ...OPENAI,
        '/v1/chat/completions': (_, answer) => answer.end(`${token('a')}data: [DONE]\n\n`),
      })(request, response, body);
    missing.push(request.url ?? '');
    return response.writeHead(401).end('{}');
  });
  const { steps } = await run(address, { header: ['x-tenant: a'] });
  expect(missing).toEqual([]);
  expect(steps[0]?.measures.completed).toBe(4);
});

describe('several servers', () => {
  const both = (one: string, other: string, flags: BenchFlags = {}) =>
    run(one, flags, { addresses: [one, other] });

  it('share the load: each user stays with one, and the report has what each of them did', async () => {
    const asked = { one: 0, other: 0 };
    const counting = (name: keyof typeof asked) =>
      byPath({
        ...OPENAI,
        '/v1/chat/completions': (request, response, body) => {
          asked[name] += 1;
          return chat(request, response, body);
        },
      });
    const addresses = [await serve(counting('one')), await serve(counting('other'))] as const;
    const { steps, addresses: measured } = await both(...addresses, { concurrency: '4', requests: '40' });
    expect(measured).toEqual(addresses);
    const [step] = steps;
    expect(step?.measures).toMatchObject({ requests: 40, completed: 40 });
    expect(step?.servers.map(({ address }) => address)).toEqual(addresses);
    const [one = 0, other = 0] = step?.servers.map(({ measures }) => measures.completed) ?? [];
    expect(one + other).toBe(40);
    // Two users each, who ask at their servers' pace; the two that show how tokens are counted come before.
    expect([one, other]).toEqual([asked.one - 2, asked.other - 2]);
    expect(Math.min(one, other)).toBeGreaterThan(0);
  });

  it('have as many users each, where nothing else is said', async () => {
    const usersOf = (...asked: Parameters<typeof readSettings>) =>
      readSettings(...asked).steps.map((step) => step.kind === 'closed' && step.concurrency);
    expect(usersOf({})).toEqual([1, 2, 4, 8]);
    expect(usersOf({}, 3)).toEqual([3, 6, 12, 24]);
    expect(usersOf({ concurrency: '1,4' }, 3)).toEqual([1, 4]);
  });

  it('that are not asked, or by fewer users than others, are in the notes', async () => {
    const addresses = [await serve(byPath(OPENAI)), await serve(byPath(OPENAI))] as const;
    const isOfDealing = (note: string) => /--concurrency|--requests/.test(note);
    const notesOf = async (flags: BenchFlags) => (await both(...addresses, flags)).notes.filter(isOfDealing);
    expect(await notesOf({ concurrency: '1,2,3,4', requests: '12' })).toEqual([
      '1 user: 1 of 2 servers was not asked, as each user stays with one. Give --concurrency multiples of 2.',
      '3 users: not all servers have the same number of users. Give --concurrency multiples of 2.',
    ]);
    expect(await notesOf({ concurrency: '2', requests: '1' })).toEqual([
      '2 users: 1 of 2 servers was not asked, as each user stays with one. Give more --requests.',
    ]);
    expect(await notesOf({ rate: '1000', concurrency: undefined, requests: '3' })).toEqual([]);
    expect((await run(addresses[0], { concurrency: '3' })).notes.filter(isOfDealing)).toEqual([]);
  });

  it('of arrivals each gets its share, in turn', async () => {
    const addresses = [await serve(byPath(OPENAI)), await serve(byPath(OPENAI))] as const;
    const open = { rate: '1000', concurrency: undefined, requests: '20' };
    const { steps } = await both(...addresses, open);
    expect(steps[0]?.servers.map(({ measures }) => measures.completed)).toEqual([10, 10]);
  });

  it('that have no model in common are not measured', async () => {
    const others = { ...OPENAI, '/v1/models': json({ data: [{ id: 'small', owned_by: 'vllm' }] }) };
    const addresses = [await serve(byPath(OPENAI)), await serve(byPath(others))] as const;
    await expect(both(...addresses)).rejects.toThrow(
      `${addresses[1]} does not list the model large of ${addresses[0]}. Name one that all have with --model.`,
    );
  });

  it('that are asked in different protocols are not measured', async () => {
    const anthropic = { '/v1/models': json({ data: [{ type: 'model', id: 'large' }] }) };
    const addresses = [await serve(byPath(OPENAI)), await serve(byPath(anthropic))] as const;
    await expect(both(...addresses)).rejects.toThrow(
      `${addresses[0]} is best asked in openai-chat, ${addresses[1]} in anthropic. Name one with --protocol.`,
    );
  });

  it('one that goes away ends the run, though the other one answers', async () => {
    const going = await startAnswering(answeringFirst(6, () => going.stop()));
    const staying = await serve(byPath(OPENAI));
    const { end: how } = await both(going.address, staying, { requests: '100000', duration: '600' });
    expect(how).toBe('server lost');
  });
});

describe('Ctrl-C', () => {
  /** Breaks the run off when this path is asked for, and never answers it. */
  async function interruptedAt(
    path: string,
    handlers: Readonly<Record<string, Handler>>,
    flags: BenchFlags = {},
  ) {
    const stop = new AbortController();
    const address = await serve(byPath({ ...handlers, [path]: () => stop.abort() }));
    return run(address, flags, { signal: stop.signal });
  }
  const uncounted: Handler = (_request, response) => response.end(`${token('a')}data: [DONE]\n\n`);

  it.each([
    ['the server is found out', '/v1/models', {}],
    ['the first request is under way', '/v1/chat/completions', OPENAI],
    ['its tokenizer is asked', '/tokenize', { ...OPENAI, '/v1/chat/completions': uncounted }],
  ])('ends it at once while %s: nothing was measured', async (_, path, handlers) => {
    await expect(interruptedAt(path, handlers)).rejects.toThrow('Interrupted before anything was measured.');
  });

  it('ends it while it warms up', async () => {
    const stop = new AbortController();
    const address = await serve(answeringFirst(2, () => stop.abort()));
    await expect(run(address, { warmup: '2' }, { signal: stop.signal })).rejects.toThrow(
      'Interrupted before',
    );
  });

  it('leaves what was measured until then', async () => {
    const stop = new AbortController();
    const address = await serve(answeringFirst(4, () => stop.abort()));
    const { steps, end: how } = await run(address, { concurrency: '1,2' }, { signal: stop.signal });
    expect(how).toBe('interrupted');
    expect(steps.map(({ measures }) => [measures.completed, measures.cancelled])).toEqual([[2, 1]]);
  });
});

it('a server that goes away in the middle ends the run, which keeps what was measured', async () => {
  const server = await startAnswering(answeringFirst(6, () => server.stop()));
  const { steps, end: how } = await run(server.address, {
    concurrency: '2,4',
    requests: '1000',
    duration: '600',
  });
  expect(how).toBe('server lost');
  expect(steps).toHaveLength(1);
  expect(steps[0]?.measures.completed).toBeGreaterThanOrEqual(3);
  expect(steps[0]?.measures.failed).toBeLessThan(50);
});

it('a run that breaks leaves no timer behind', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const dataset = { name: 'empty.jsonl', entries: [] };
  const served = await serve(byPath(OPENAI));
  const before = timers();
  for (let count = 0; count < 20; count++)
    await expect(run(served, {}, { dataset })).rejects.toThrow('the dataset is empty');
  // What else this process does has timers too, which begin and end; one for each run would be twenty.
  expect(timers()).toBeLessThan(before + 10);
});
