/** Remote backends that fail in every way a network knows: the right status, the right event, and the next request works. */
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ask, eventsOf, generate, metric, openAnswer, stream, tokensOf } from '../support/http-client.ts';
import { isReady, whenReady } from '../support/readiness.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';
import { startOllamaStandIn } from '../support/stand-ins/ollama-stand-in.ts';
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';
import type { Fault, StandIn, StandInOptions } from '../support/stand-ins/stand-in-server.ts';

const WITHIN = { timeout: 60_000, interval: 20 };
/** Longer than a loaded machine is silent by itself. */
const SHORT_LIMITS = {
  connect_timeout_ms: 2000,
  first_token_timeout_ms: 2000,
  idle_timeout_ms: 2000,
  answer_timeout_ms: 5000,
};
const PROMPT = { prompt: 'count from one to five please' };

interface Upstream {
  readonly backend: string;
  start(options: StandInOptions): Promise<StandIn>;
}

const UPSTREAMS: readonly Upstream[] = [
  { backend: 'ollama', start: startOllamaStandIn },
  { backend: 'openai-compatible', start: startOpenAiStandIn },
];

/** Before the first token: both routes answer with this status and code. */
const EARLY: readonly (readonly [Fault, number, string])[] = [
  ['reset', 502, 'backend_error'],
  ['hang', 502, 'backend_error'],
  ['not-http', 502, 'backend_error'],
  ['garbage', 502, 'backend_error'],
  ['error-500', 502, 'backend_error'],
];
/** After some tokens: an error event in a stream, a 502 for a whole answer. */
const LATE: readonly Fault[] = ['cut', 'end-early', 'hang-mid-stream', 'error-mid-stream'];

const flagsFor = ({ backend }: Upstream, standIn: StandIn, limits: object = SHORT_LIMITS) => [
  '--models',
  JSON.stringify([
    { id: 'm', targets: [{ backend, url: standIn.url, model: standIn.model, slots: 2, ...limits }] },
  ]),
  '--rate-limit.enabled',
  'false',
];

describe.each(UPSTREAMS)('$backend', (upstream) => {
  const endsWith = endingAfterAll();
  let standIn: StandIn;
  let server: RunningServer;

  beforeAll(async () => {
    standIn = await upstream.start({});
    server = await startServer({ flags: flagsFor(upstream, standIn), endsWith });
    await whenReady(server);
    return () => standIn.close();
  });

  /** Whatever happened: the slots come back, and a healthy backend is used again. */
  async function expectRecovery(): Promise<void> {
    await standIn.setFault('none');
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(0);
    await expect.poll(async () => (await generate(server, PROMPT)).status, WITHIN).toBe(200);
    await expect.poll(() => standIn.counts().inFlight, WITHIN).toBe(0);
  }

  test('when all is well both routes give the same text', async () => {
    const whole = await generate(server, PROMPT);
    expect(whole.status, whole.text).toBe(200);
    const streamed = await stream(server, PROMPT);
    expect(tokensOf(streamed.text)).toBe(whole.json().text);
    expect(streamed.text).toContain('data: [DONE]');
  });

  test.each(EARLY)('%s: %i %s before the first token', async (fault, status, code) => {
    await standIn.setFault(fault);
    for (const answer of await Promise.all([generate(server, PROMPT), stream(server, PROMPT)])) {
      expect(answer.status, answer.text).toBe(status);
      expect(answer.json().error.code).toBe(code);
      expect(answer.json().error.message).not.toMatch(/127\.0\.0\.1|ECONN|undici|socket/i);
    }
    await expectRecovery();
  });

  test.each(LATE)('%s: an error event ends the stream, a whole answer is a 502', async (fault) => {
    await standIn.setFault(fault);
    const { status, text } = await stream(server, PROMPT);
    expect(status, text).toBe(200);
    const events = eventsOf(text);
    expect(events[0]?.token).toBeTruthy();
    expect(events.at(-1)?.error?.code).toBe('backend_error');
    expect(text).not.toContain('[DONE]');
    const whole = await generate(server, PROMPT);
    expect([whole.status, whole.json().error.code]).toEqual([502, 'backend_error']);
    await expectRecovery();
  });

  test('refused: 503 no_backend_available, /ready says why, and it recovers by itself', async () => {
    await standIn.setFault('refuse');
    await expect
      .poll(async () => (await ask(`${server.url}/ready`)).json<{ reason?: string }>().reason, WITHIN)
      .toBe('backend_unreachable');
    for (const answer of [await generate(server, PROMPT), await stream(server, PROMPT)]) {
      expect(answer.status, answer.text).toBe(503);
      expect(answer.json().error.code).toBe('no_backend_available');
      expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
      expect(answer.headers['x-reject-reason']).toBe('no_backend_available');
    }
    await expectRecovery();
    await expect.poll(() => isReady(server), WITHIN).toBe(true);
  });

  test('busy: a 503 that passes the wait on', async () => {
    await standIn.setFault('busy');
    const answer = await generate(server, PROMPT);
    expect([502, 503]).toContain(answer.status);
    if (answer.status === 503) expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    await expectRecovery();
  });

  test('silent: /ready says so while the API stays up', async () => {
    await standIn.setFault('silent');
    // A single missed probe means little; a few in a row do.
    await expect.poll(() => isReady(server), WITHIN).toBe(false);
    expect((await ask(`${server.url}/health`)).status).toBe(200);
    await expectRecovery();
  });

  test('a client that leaves closes the connection to the backend', async () => {
    await standIn.setFault('hang-mid-stream');
    const { aborted } = standIn.counts();
    const answer = await openAnswer(`${server.url}/stream`, { body: PROMPT });
    await answer.until((text) => text.includes('token'));
    answer.leave();
    await standIn.until((counts) => counts.aborted === aborted + 1 && counts.inFlight === 0);
    await expectRecovery();
  });
});

describe.each(UPSTREAMS)('$backend that ignores max_tokens', (upstream) => {
  test('is stopped there, in both routes, and the connection of its stream is closed', async () => {
    const standIn = await upstream.start({ tokenDelayMs: 20 });
    onTestFinished(() => standIn.close());
    const server = await startServer({ flags: flagsFor(upstream, standIn, {}), endsWith: onTestFinished });
    await whenReady(server);
    await standIn.setFault('ignores-limit');
    const limited = { ...PROMPT, max_tokens: 5 };
    const streamed = await stream(server, limited);
    const events = eventsOf(streamed.text);
    expect(events.filter(({ token }) => token !== undefined)).toHaveLength(5);
    expect(events.at(-1)).toMatchObject({ finish_reason: 'length', usage: { completion_tokens: 5 } });
    expect(streamed.text).toContain('[DONE]');
    const whole = (await generate(server, limited)).json();
    expect(whole).toMatchObject({ finish_reason: 'length', usage: { completion_tokens: 5 } });
    expect(whole.text).toBe(tokensOf(streamed.text));
    // An answer that was asked for whole is complete when it is seen to be too long.
    const stopped = upstream.backend === 'ollama' ? 2 : 1;
    await standIn.until(({ aborted, inFlight }) => aborted === stopped && inFlight === 0);
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(0);
  });
});

describe.each(UPSTREAMS)('$backend, slow but alive', (upstream) => {
  test('bytes in any pieces and slow tokens are no fault, and never more than the slots are in flight', async () => {
    const standIn = await upstream.start({ firstTokenDelayMs: 100, tokenDelayMs: 20, chopBytes: 32 });
    onTestFinished(() => standIn.close());
    const server = await startServer({ flags: flagsFor(upstream, standIn, {}), endsWith: onTestFinished });
    await whenReady(server);
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        (index % 2 ? generate : stream)(server, { ...PROMPT, max_tokens: 8 }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect(standIn.counts().maxInFlight).toBe(2);
  });
});

test('a backend that is not there yet does not stop the start', async () => {
  const standIn = await startOllamaStandIn({});
  onTestFinished(() => standIn.close());
  await standIn.setFault('refuse');
  const server = await startServer({
    flags: ['--backend', 'ollama', '--url', standIn.url, '--model', standIn.model],
    endsWith: onTestFinished,
  });
  expect((await ask(`${server.url}/health`)).status).toBe(200);
  await standIn.setFault('none');
  await expect.poll(() => isReady(server), WITHIN).toBe(true);
  expect((await generate(server, PROMPT)).json().model).toBe(standIn.model);
});

test('a model that the backend does not have is said in /ready', async () => {
  const standIn = await startOllamaStandIn({});
  onTestFinished(() => standIn.close());
  const server = await startServer({
    flags: ['--backend', 'ollama', '--url', standIn.url, '--model', 'absent'],
    endsWith: onTestFinished,
  });
  await expect
    .poll(async () => (await ask(`${server.url}/ready`)).json<{ reason?: string }>().reason, WITHIN)
    .toBe('model_not_found');
});

test('with two targets of one model, what one refuses the other still serves', async () => {
  const [first, second] = [await startOllamaStandIn({}), await startOllamaStandIn({})];
  onTestFinished(() => first.close());
  onTestFinished(() => second.close());
  const targets = [first, second].map(({ url, model }) => ({ backend: 'ollama', url, model, slots: 1 }));
  const server = await startServer({
    flags: ['--models', JSON.stringify([{ id: 'm', targets }])],
    endsWith: onTestFinished,
  });
  await expect.poll(() => metric(server, 'llm_serve_target_up'), WITHIN).toBe(2);
  await first.setFault('refuse');
  await expect.poll(() => metric(server, 'llm_serve_target_up'), WITHIN).toBe(1);
  expect(await isReady(server)).toBe(true);
  const answers = await Promise.all(Array.from({ length: 4 }, () => generate(server, PROMPT)));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});
