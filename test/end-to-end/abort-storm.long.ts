/** Thousands of clients that leave in random phases: nothing stays behind. */
import { expect, test } from 'vitest';
import { endingAfterAll, startServer } from '../support/executable.ts';
import { generate, metric } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

const REQUESTS = 10_000;
const CLIENTS = 64;
const LONGEST_STAY_MS = 40;

const endsWith = endingAfterAll();

test('10,000 requests aborted in random phases leave no slot taken and nobody in the queue', async () => {
  const server = await startServer({ flags: [...scriptedFlags(), '--logging.level', 'info'], endsWith });
  const body = {
    prompt: scripted({ first_token_delay_ms: 5, token_delay_ms: 3, tokens: 10 }),
    max_tokens: 10,
  };
  let sent = 0;
  let finished = 0;

  async function client(seed: number): Promise<void> {
    let state = seed;
    while (sent < REQUESTS) {
      sent += 1;
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      const leaving = new AbortController();
      const timer = setTimeout(() => leaving.abort(), state % LONGEST_STAY_MS);
      const answer = await fetch(`${server.url}${state % 2 === 0 ? '/generate' : '/stream'}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: leaving.signal,
      })
        .then((response) => response.text())
        .catch(() => undefined);
      clearTimeout(timer);
      if (answer !== undefined) finished += 1;
    }
  }

  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index + 1)));
  await expect.poll(() => metric(server, 'llm_serve_requests_running'), { timeout: 10_000 }).toBe(0);
  expect(await metric(server, 'llm_serve_slots_used')).toBe(0);
  expect(await metric(server, 'llm_serve_requests_waiting')).toBe(0);
  expect(await metric(server, 'llm_serve_oldest_request_seconds')).toBe(0);
  expect(finished).toBeLessThan(REQUESTS);
  expect((await generate(server, { prompt: 'still there?' })).status).toBe(200);
});
