/** The Live view beside `llm-serve bench`, as a person would try both: the queue fills, is seen, and drains. */
import { expect, onTestFinished, test } from 'vitest';
import { runExecutable, startExecutable } from '../support/executable.ts';
import { metric } from '../support/http-client.ts';
import { isLive, openLive, rows } from '../support/live-page.ts';
import { scriptedFlags } from '../support/scripted-server.ts';

const SLOTS = 2;
const USERS = 8;
const REQUESTS = 30;

/** Rows of the list of what has ended; the page keeps more. */
const ROWS = 25;

test('a queue that bench fills is seen, with its reasons, and drains', async (context) => {
  const flags = scriptedFlags({ target: { slots: SLOTS, token_delay_ms: 30 } });
  const server = await startExecutable({
    flags: [...flags, '--scheduler.queue-timeout-ms', '3600000'],
    endsWith: onTestFinished,
  });
  const page = await openLive(context, server);
  await isLive(page);
  const seen = { queue: 0, running: 0 };
  let isOver = false;
  const bench = runExecutable(
    [
      ...['bench', server.url, '--concurrency', String(USERS), '--requests', String(REQUESTS)],
      ...['--output-tokens', '20', '--warmup', '2', '--timeout', '600'],
    ],
    { endsWith: onTestFinished },
  ).finally(() => {
    isOver = true;
  });
  const reasons = new Set<string>();
  while (!isOver) {
    const waiting = await rows(page, 'queue');
    seen.queue = Math.max(seen.queue, waiting.length);
    for (const row of waiting) reasons.add(/all slots|others are before/.exec(row)?.[0] ?? row);
    const [target = ''] = await rows(page, 'targets');
    seen.running = Math.max(seen.running, Number(/(\d+) of \d+/.exec(target)?.[1] ?? 0));
  }
  const { exitCode, stderr } = await bench;
  expect([exitCode, stderr]).toEqual([0, expect.anything()]);
  // Each of the users waits for one answer; two have a slot.
  expect(seen.running).toBe(SLOTS);
  expect(seen.queue).toBeGreaterThanOrEqual(2);
  expect(seen.queue).toBeLessThanOrEqual(USERS - SLOTS);
  expect([...reasons].sort()).toEqual(['all slots', 'others are before']);
  expect(await metric(server, 'llm_serve_e2e_request_latency_seconds_count')).toBeGreaterThanOrEqual(
    REQUESTS,
  );
  await expect.poll(() => rows(page, 'ended'), { timeout: 60_000 }).toHaveLength(ROWS);
  await expect.poll(() => rows(page, 'queue'), { timeout: 60_000 }).toEqual([]);
});
