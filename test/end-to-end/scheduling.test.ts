/** The scheduler seen from outside: who is served when, who is refused, and what answers say of their wait. */
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startExecutable } from '../support/executable.ts';
import { type Answer, ask, eventsOf, generate, metric, openAnswer, send } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const WITHIN = { timeout: 60_000, interval: 10 };
/** Clients are told apart by their address; a proxy on this machine says which. */
const BEHIND_A_PROXY = ['--server.trusted-proxies', '["127.0.0.1"]', '--auth.allow-open', 'true'];

const waiting = (server: RunningServer) => metric(server, 'llm_serve_requests_waiting');
const slotsUsed = (server: RunningServer) => metric(server, 'llm_serve_slots_used');

/** What the answer says of its time in the queue; NaN where it says nothing. */
function queueMs({ headers }: Answer): number {
  return Number(/^queue;dur=([\d.]+)/.exec(String(headers['server-timing']))?.[1]);
}

interface Call {
  readonly client: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

const brief = { prompt: scripted({ first_token_delay_ms: 20, tokens: 1 }), max_tokens: 1 };

function call(server: RunningServer, { client, body = {}, headers = {} }: Call): Promise<Answer> {
  return ask(`${server.url}/generate`, {
    headers: { 'x-forwarded-for': client, ...headers },
    body: { ...brief, ...body },
  });
}

/** Takes a slot until the returned function is called. */
async function occupySlot(server: RunningServer, { beside = 0 } = {}): Promise<() => void> {
  // Of requests that have just been answered, none has its slot any more.
  await expect.poll(() => slotsUsed(server), WITHIN).toBe(beside);
  const held = send(`${server.url}/generate`, { body: { prompt: scripted({ fail: 'hang' }) } });
  await expect.poll(() => slotsUsed(server), WITHIN).toBe(beside + 1);
  return () => held.destroy();
}

describe('on one slot', () => {
  const endsWith = endingAfterAll();
  let server: RunningServer;
  beforeAll(async () => {
    const rights = ['--scheduler.high-priority-clients', '["10.0.0.9"]'];
    server = await startServer({
      flags: [...scriptedFlags({ target: { slots: 1 } }), ...BEHIND_A_PROXY, ...rights],
      endsWith,
    });
  });

  /** Lets all of them queue, one after the other, then frees the slot: their names in the order of their answers. */
  async function orderOf(calls: readonly (readonly [string, Call])[]): Promise<string[]> {
    const free = await occupySlot(server);
    const order: string[] = [];
    const answers: Promise<unknown>[] = [];
    for (const [name, given] of calls) {
      answers.push(
        call(server, given).then(({ status }) => order.push(status === 200 ? name : `${name} ${status}`)),
      );
      await expect.poll(() => waiting(server), WITHIN).toBe(answers.length);
    }
    free();
    await Promise.all(answers);
    return order;
  }

  test('a light client is served next, however much a flood has waiting', async () => {
    const flood = [1, 2, 3, 4, 5].map((index) => [`flood${index}`, { client: '10.0.0.1' }] as const);
    expect(await orderOf([...flood, ['light', { client: '10.0.0.2' }]])).toEqual([
      'flood1',
      'light',
      'flood2',
      'flood3',
      'flood4',
      'flood5',
    ]);
  });

  test('addresses of one IPv6 network are one client', async () => {
    const flood = [1, 2, 3].map((index) => [`flood${index}`, { client: `2001:db8::${index}` }] as const);
    const order = await orderOf([...flood, ['other', { client: '2001:db8:0:1::1' }]]);
    expect(order).toEqual(['flood1', 'other', 'flood2', 'flood3']);
  });

  test('priorities go before each other, for those who may ask for them', async () => {
    const low = { client: '10.0.0.1', body: { priority: 'low' } };
    const normal = { client: '10.0.0.1' };
    const asksInVain = { client: '10.0.0.1', body: { priority: 'high' } };
    const high = { client: '10.0.0.9', headers: { 'x-request-priority': 'high' } };
    expect(
      await orderOf([
        ['low', low],
        ['normal', normal],
        ['in vain', asksInVain],
        ['high', high],
      ]),
    ).toEqual(['high', 'normal', 'in vain', 'low']);
  });

  test('the earliest deadline of a client goes first', async () => {
    const withTimeout = (timeout_ms: number) => ({ client: '10.0.0.1', body: { timeout_ms } });
    expect(
      await orderOf([
        ['patient', withTimeout(20_000)],
        ['hurried', withTimeout(10_000)],
        ['most hurried', { client: '10.0.0.1', headers: { 'x-request-timeout-ms': '9000' } }],
      ]),
    ).toEqual(['most hurried', 'hurried', 'patient']);
  });

  test('an answer tells how long it waited', async () => {
    const free = await occupySlot(server);
    const answer = call(server, { client: '10.0.0.1' });
    await expect.poll(() => waiting(server), WITHIN).toBe(1);
    free();
    const { queue_ms } = (await answer).json<{ timings: { queue_ms: number } }>().timings;
    expect(queueMs(await answer)).toBeCloseTo(queue_ms, 0);
    expect(queue_ms).toBeGreaterThan(0);
  });

  test('a stream that has to wait is told its place and the predicted wait as they change, until it is served', async () => {
    const free = await occupySlot(server);
    const before = call(server, {
      client: '10.0.0.1',
      body: { prompt: scripted({ first_token_delay_ms: 1300 }) },
    });
    await expect.poll(() => waiting(server), WITHIN).toBe(1);
    const stream = await openAnswer(`${server.url}/stream`, {
      headers: { 'x-queue-events': '1', 'x-forwarded-for': '10.0.0.1' },
      body: brief,
    });
    await stream.until((text) => text.includes('"position":2'));
    free();
    const events = eventsOf(await stream.whole);
    const places = events.flatMap(({ queue }) => (queue === undefined ? [] : [queue]));
    expect(places.map(({ position }) => position)).toEqual([2, 1, 0]);
    expect(places[0]?.eta_ms).toBeGreaterThan(places[1]?.eta_ms ?? 0);
    expect(events.findIndex(({ token }) => token !== undefined)).toBe(places.length);
    expect(stream.headers['server-timing'], 'its wait was not known yet').toBeUndefined();
    expect((await before).status).toBe(200);
  });
});

test('a request whose predicted wait exceeds its time is refused at once, and told when to come back', async () => {
  const server = await startServer({
    flags: scriptedFlags({ target: { slots: 1, first_token_delay_ms: 100, tokens: 1 } }),
    endsWith: onTestFinished,
  });
  for (let past = 0; past < 8; past += 1) await generate(server, { prompt: 'hi', max_tokens: 1 });
  const free = await occupySlot(server);
  const ahead = Array.from({ length: 20 }, () => generate(server, { prompt: 'hi', max_tokens: 1 }));
  await expect.poll(() => waiting(server), WITHIN).toBe(20);
  const refused = await generate(server, { prompt: 'hi', max_tokens: 1, timeout_ms: 1700, priority: 'low' });
  expect([refused.status, refused.headers['x-reject-reason']]).toEqual([503, 'queue_timeout']);
  expect(queueMs(refused)).toBeLessThan(1600);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(2);
  free();
  for (const answer of ahead) expect((await answer).status).toBe(200);
});

test('a backend that never answers holds nobody for longer than the limits say, and loses nobody', async () => {
  const server = await startServer({
    flags: [
      ...scriptedFlags({ target: { slots: 2, first_token_timeout_ms: 300, fail: 'hang' } }),
      ...['--scheduler.queue-timeout-ms', '3000'],
    ],
    endsWith: onTestFinished,
  });
  const answers = await Promise.all(Array.from({ length: 60 }, () => generate(server, { prompt: 'hi' })));
  const codes = answers.map((answer) => answer.json().error.code);
  expect(new Set(codes)).toEqual(new Set(['backend_error', 'queue_timeout']));
  expect(codes.filter((code) => code === 'backend_error').length).toBeGreaterThanOrEqual(4);
  for (const answer of answers) expect(Number(answer.headers['x-response-time-ms'])).toBeLessThan(20_000);
  await expect.poll(() => slotsUsed(server), WITHIN).toBe(0);
  await expect.poll(() => waiting(server), WITHIN).toBe(0);
});

test('a thousand connections of one client fill its queue, and another client is still served next', async () => {
  const server = await startExecutable({
    flags: [
      ...scriptedFlags({ target: { slots: 2 } }),
      ...BEHIND_A_PROXY,
      ...['--scheduler.max-queue', '100', '--scheduler.queue-timeout-ms', '600000'],
    ],
    endsWith: onTestFinished,
  });
  const free = [await occupySlot(server), await occupySlot(server, { beside: 1 })];
  const flood = Array.from({ length: 1000 }, () => call(server, { client: '10.0.0.1' }));
  const rejected = () => metric(server, 'llm_serve_rejected_total');
  await expect.poll(rejected, { timeout: 170_000 }).toBe(900);
  const asking = call(server, { client: '10.0.0.2' });
  await expect.poll(rejected, WITHIN).toBe(901);
  for (const leave of free) leave();
  const light = await asking;
  expect(light.status).toBe(200);
  const answers = await Promise.all(flood);
  const statuses = answers.map(({ status, headers }) =>
    status === 200 ? 'served' : `${status} ${headers['x-reject-reason']}`,
  );
  expect(new Set(statuses)).toEqual(new Set(['served', '503 queue_full']));
  const grantedAt = async ({ headers }: Answer) => {
    const { time, latencyMs, queueMs } = await server.requestLine(String(headers['x-request-id']));
    return Date.parse(String(time)) - Number(latencyMs) + Number(queueMs);
  };
  const served = await Promise.all(answers.filter(({ status }) => status === 200).map(grantedAt));
  expect(served).toHaveLength(99);
  const lightAt = await grantedAt(light);
  expect(served.filter((at) => at < lightAt).length, 'those before it').toBeLessThan(served.length / 2);
  await expect.poll(() => metric(server, 'llm_serve_queue_bytes'), WITHIN).toBe(0);
  await expect.poll(() => metric(server, 'llm_serve_tokens_in_flight'), WITHIN).toBe(0);
});

test('with a token budget fewer run than there are slots, and one that exceeds it is served too', async () => {
  const server = await startServer({
    flags: [...scriptedFlags({ target: { slots: 8 } }), '--scheduler.max-tokens-in-flight', '200'],
    endsWith: onTestFinished,
  });
  const held = send(`${server.url}/generate`, {
    body: { prompt: scripted({ fail: 'hang' }), max_tokens: 100 },
  });
  await expect.poll(() => slotsUsed(server), WITHIN).toBe(1);
  const one = { prompt: scripted({ tokens: 1 }), max_tokens: 100 };
  const answers = Array.from({ length: 5 }, () => generate(server, one));
  await expect.poll(() => waiting(server), WITHIN).toBe(5);
  expect(await slotsUsed(server)).toBe(1);
  const alone = generate(server, { ...one, max_tokens: 4000 });
  await expect.poll(() => waiting(server), WITHIN).toBe(6);
  held.destroy();
  for (const answer of [...answers, alone]) expect((await answer).status).toBe(200);
});
