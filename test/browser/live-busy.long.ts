/** The Live view with 64 busy slots and a long queue in a real browser, bounded by the clock: no task of the page takes long. */
import { expect, onTestFinished, test } from 'vitest';
import { send } from '../support/http-client.ts';
import { isLive, openLive, rows } from '../support/live-page.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';

const SLOTS = 64;
const WAITING = 100;
const LONGEST_TASK_MS = 200;
const WATCHED_MS = 10_000;

const OBSERVER = `window.tasks = [];
new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) window.tasks.push(Math.round(duration)); })
  .observe({ type: 'longtask', buffered: true });`;

test('64 busy slots and a queue of 100 never stop the page for 200 ms', async (context) => {
  const flags = scriptedFlags({ target: { slots: SLOTS } });
  const server = await startServer({ flags, endsWith: onTestFinished });
  const page = await openLive(context, server, { before: OBSERVER });
  await isLive(page);
  const busy = Array.from({ length: SLOTS + WAITING }, (_, at) =>
    send(`${server.url}/stream`, {
      body: {
        prompt: scripted({ tokens: 120 + (at % 17), token_delay_ms: 60 + (at % 5) * 10 }),
        max_tokens: 1_000,
      },
      headers: { 'x-request-id': `busy-${at}` },
    }),
  );
  onTestFinished(() => {
    for (const request of busy) request.destroy();
  });
  await expect.poll(() => rows(page, 'queue'), { timeout: 60_000 }).toHaveLength(25);
  const tasks = await page.evaluate<number[]>(
    `new Promise((done) => { window.tasks.length = 0; setTimeout(() => done(window.tasks), ${WATCHED_MS}); })`,
  );
  const longest = Math.max(0, ...tasks);
  console.log(
    `longest task of Live with ${SLOTS} busy slots: ${longest} ms, ${tasks.length} over 50 ms in ${WATCHED_MS / 1_000} s`,
  );
  expect(longest, 'on a quiet machine').toBeLessThan(LONGEST_TASK_MS);
});
