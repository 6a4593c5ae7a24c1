/** Thousands of clients that leave in random phases, or come all at once: nothing stays behind. */
import { expect, onTestFinished, test } from 'vitest';
import { type Executable, startExecutable } from '../support/executable.ts';
import { ask, generate, metric, send } from '../support/http-client.ts';
import { openConnections } from '../support/open-connections.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';

const REQUESTS = 10_000;
const CLIENTS = 64;
const WITHIN = { timeout: 60_000, interval: 50 };

const STEP = { first_token_delay_ms: 5, token_delay_ms: 3, tokens: 10 };

/**
 * Each client asks again and again and leaves after a random while, of at most the time that a whole answer took it in the same crowd:
 * on a slow machine too, some leave before a slot is theirs and some after. Resolves with how many answers came whole.
 */
async function abortStorm(server: Executable, prompt: string): Promise<number> {
  let sent = 0;
  let finished = 0;
  async function client(seed: number): Promise<void> {
    let state = seed;
    const beganAt = performance.now();
    await generate(server, { prompt, max_tokens: 10 });
    const maxStayMs = Math.ceil(performance.now() - beganAt);
    while (sent < REQUESTS) {
      sent += 1;
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      const leaving = new AbortController();
      const timer = setTimeout(() => leaving.abort(), state % maxStayMs);
      const answer = await fetch(`${server.url}${state % 2 === 0 ? '/generate' : '/stream'}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ prompt, max_tokens: 10 }),
        signal: leaving.signal,
      })
        .then((response) => response.text())
        .catch(() => undefined);
      clearTimeout(timer);
      if (answer !== undefined) finished += 1;
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index + 1)));
  return finished;
}

async function expectNothingLeft(server: Executable): Promise<void> {
  await expect.poll(() => metric(server, 'llm_serve_requests_running'), WITHIN).toBe(0);
  for (const name of ['slots_used', 'tokens_in_flight', 'requests_waiting', 'queue_bytes'])
    expect(await metric(server, `llm_serve_${name}`), name).toBe(0);
  expect(await metric(server, 'llm_serve_oldest_request_seconds')).toBe(0);
}

test('10,000 requests aborted in random phases leave no slot taken and nobody in the queue', async () => {
  const server = await startExecutable({
    flags: [...scriptedFlags(), '--logging.level', 'info'],
    endsWith: onTestFinished,
  });
  expect(await abortStorm(server, scripted(STEP))).toBeLessThan(REQUESTS);
  await expectNothingLeft(server);
  for (const phase of ['queued', 'waiting', 'streaming'])
    expect(await metric(server, 'llm_serve_cancelled_total', `phase="${phase}"`), phase).toBeGreaterThan(0);
  expect((await generate(server, { prompt: 'still there?' })).status).toBe(200);
});

test('over HTTP they leave no connection to the backend open either', async () => {
  const standIn = await startOpenAiStandIn({
    firstTokenDelayMs: STEP.first_token_delay_ms,
    tokenDelayMs: STEP.token_delay_ms,
  });
  onTestFinished(() => standIn.close());
  const target = { backend: 'openai-compatible', url: standIn.url, model: standIn.model, slots: 8 };
  const server = await startExecutable({
    flags: [
      ...['--models', JSON.stringify([{ id: 'm', targets: [target] }])],
      ...['--rate-limit.enabled', 'false', '--logging.level', 'info'],
    ],
    endsWith: onTestFinished,
  });
  await abortStorm(server, 'count from one to five please');
  await expectNothingLeft(server);
  expect(standIn.counts().aborted).toBeGreaterThan(0);
  expect(standIn.counts().maxInFlight).toBeLessThanOrEqual(8);
  await expect.poll(() => standIn.counts().inFlight, WITHIN).toBe(0);
  // Idle connections are kept for a few seconds; the probes, which go on all the while, have two of their own.
  const upstreamPort = Number(new URL(standIn.url).port);
  await expect.poll(() => openConnections(server.pid, upstreamPort), WITHIN).toBeLessThanOrEqual(2);
});

test('10,000 connections of one client at once get an answer each, as far as the system lets them in, and another client is served meanwhile', async () => {
  const server = await startExecutable({
    flags: [
      ...scriptedFlags({ target: { slots: 4 } }),
      ...['--server.trusted-proxies', '["127.0.0.1"]', '--auth.allow-open', 'true'],
      ...['--logging.level', 'info'],
    ],
    endsWith: onTestFinished,
  });
  const body = { prompt: scripted({ first_token_delay_ms: 20, tokens: 1 }), max_tokens: 1 };
  const answers = Array.from({ length: REQUESTS }, () => {
    const sent = send(`${server.url}/generate`, { headers: { 'x-forwarded-for': '10.0.0.1' }, body });
    return new Promise<number>((resolve) => {
      sent.once('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      // More than the system lets a listener have waiting: refused before it is a request.
      sent.once('error', () => resolve(0));
    });
  });
  await expect.poll(() => metric(server, 'llm_serve_rejected_total'), WITHIN).toBeGreaterThan(0);
  const light = await ask(`${server.url}/generate`, { headers: { 'x-forwarded-for': '10.0.0.2' }, body });
  expect(light.status).toBe(200);
  const statuses = await Promise.all(answers);
  expect([...new Set(statuses)].filter((status) => status !== 0).sort()).toEqual([200, 503]);
  expect(statuses.filter((status) => status !== 0).length).toBeGreaterThan(REQUESTS * 0.9);
  await expectNothingLeft(server);
});
