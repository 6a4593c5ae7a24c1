/** Limits on tokens and answers whose client sets no bound: what is reserved for them, and what they use beyond it. */
import { expect, onTestFinished, test } from 'vitest';
import { type Answer, ask, openAnswer } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, startServer } from '../support/server.ts';

const flag = (name: string, value: unknown) => [`--${name}`, JSON.stringify(value)];

function start(flags: readonly string[]): Promise<ComposedServer> {
  return startServer({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
}

const answerOf = (tokens: number, more: object = {}) => ({
  messages: [{ role: 'user', content: scripted({ tokens }) }],
  ...more,
});

function chat(server: ComposedServer, body: object, key?: string): Promise<Answer> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  return ask(`${server.url}/v1/chat/completions`, { body, headers });
}

test('a client does not make the server reserve little by asking for little before', async () => {
  const server = await start(flag('limits.all', { tokens_per_minute: 2000 }));
  for (let count = 0; count < 5; count += 1)
    expect((await chat(server, answerOf(3000, { max_tokens: 1 }))).status).toBe(200);
  const answers = await Promise.all(Array.from({ length: 30 }, () => chat(server, answerOf(3000))));
  const statuses = answers.map(({ status }) => status);
  // A tenth of the limit is reserved for each.
  const admitted = statuses.filter((status) => status === 200).length;
  expect(admitted).toBeGreaterThanOrEqual(1);
  expect(admitted).toBeLessThanOrEqual(10);
  expect(statuses.filter((status) => status === 429)).toHaveLength(30 - admitted);
});

test('what an answer uses beyond its reservation refuses others while it runs', async () => {
  const server = await start(flag('limits.all', { tokens_per_minute: 3000 }));
  const content = scripted({ tokens: 4000, fail: 'hang-mid-stream', fail_after_tokens: 3500 });
  const running = await openAnswer(`${server.url}/v1/chat/completions`, {
    body: { messages: [{ role: 'user', content }], stream: true },
  });
  onTestFinished(() => running.leave());
  const bounded = async () => (await chat(server, answerOf(1, { max_tokens: 1 }))).status;
  await expect.poll(bounded, { timeout: 10_000, interval: 200 }).toBe(429);
  expect(running.text()).not.toContain('[DONE]');
});

test('the long answers of others lock nobody out: what is only a guess takes a tenth of a limit, and max_tokens needs less', async () => {
  const keys = [
    { name: 'big', key: 'the-big-key-1' },
    { name: 'small', key: 'the-small-key-1' },
  ];
  const server = await start([
    ...flag('auth.api-keys', keys),
    ...flag('limits.keys', { small: { tokens_per_minute: 1000 } }),
  ]);
  for (let count = 0; count < 3; count += 1)
    expect((await chat(server, answerOf(3000), 'the-big-key-1')).status).toBe(200);
  const small = (more: object = {}) => chat(server, answerOf(20, more), 'the-small-key-1');
  const first = await small();
  expect(first.status, first.text).toBe(200);
  let refused = first;
  await expect
    .poll(
      async () => {
        refused = await small();
        return refused.status;
      },
      { interval: 1 },
    )
    .toBe(429);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(refused.json<{ error: { message: string } }>().error.message).toMatch(
    /for this one 100 tokens would be reserved, as its answer has no bound: set max_tokens\. Retry in/,
  );
  expect((await small({ max_tokens: 1 })).status).toBe(200);
});
