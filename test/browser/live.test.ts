/** The Live view in a real browser, beside requests to the executable. */
import axe from 'axe-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startExecutable } from '../support/executable.ts';
import { ask, generate, metric, send } from '../support/http-client.ts';
import {
  CONNECTION_ERRORS,
  count,
  figure,
  hold,
  isLive,
  medianBucket,
  milliseconds,
  openLive,
  rows,
  stateOf,
} from '../support/live-page.ts';
import { ownPort } from '../support/own-port.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

/** What hangs in a slot does so as long as the test wants it. */
const TWO_SLOTS = { target: { slots: 2, idle_timeout_ms: 3_600_000 } };

/** What waits and runs does so until the test ends it, however slow the machine is. */
const PATIENCE = ['--scheduler.queue-timeout-ms', '3600000', '--generation.request-timeout-ms', '3600000'];

function start(...flags: readonly string[]) {
  return startExecutable({
    flags: [...scriptedFlags(TWO_SLOTS), ...PATIENCE, ...flags],
    endsWith: onTestFinished,
  });
}

const poll = <Value>(read: () => Promise<Value>) => expect.poll(read, { timeout: 60_000 });

describe('beside load', () => {
  test('the queue fills and empties, and its figures are those of /metrics', async (context) => {
    const server = await start();
    const page = await openLive(context, server);
    await isLive(page);
    const held = await Promise.all([hold(server, 'first'), hold(server, 'second')]);
    const waiting = Array.from({ length: 6 }, (_, at) =>
      ask(`${server.url}/stream`, {
        body: { prompt: scripted({ tokens: 10 + at }) },
        headers: { 'x-request-id': `waits-${at}` },
      }),
    );
    await poll(() => rows(page, 'queue')).toHaveLength(6);
    expect((await rows(page, 'queue'))[0]).toContain('all slots that it may use are taken');
    expect((await rows(page, 'queue'))[3]).toContain('others are before it');
    await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('2 of 2')]);
    for (const one of held) one.leave();
    await Promise.all(waiting);
    await poll(() => rows(page, 'queue')).toEqual([]);
    await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('0 of 2')]);
    await poll(() => count(page, 'cancelled')).toBe(2);
    for (const [name, of] of [
      ['finished', await metric(server, 'llm_serve_e2e_request_latency_seconds_count')],
      ['completion_tokens', await metric(server, 'llm_serve_generation_tokens_total')],
      ['prompt_tokens', await metric(server, 'llm_serve_prompt_tokens_total')],
      ['cancelled', await metric(server, 'llm_serve_cancelled_total')],
      ['rejected', await metric(server, 'llm_serve_rejected_total')],
    ] as const)
      await poll(async () => [name, await count(page, name)]).toEqual([name, of]);
    expect(await count(page, 'finished')).toBe(6);
    for (const [name, histogram] of [
      ['ttft', 'llm_serve_time_to_first_token_seconds'],
      ['queue', 'llm_serve_request_queue_time_seconds'],
      ['inter_token', 'llm_serve_inter_token_latency_seconds'],
    ] as const) {
      const { least, most } = await medianBucket(server, histogram);
      const shown = milliseconds(await figure(page, name));
      expect(shown, name).toBeGreaterThanOrEqual(least * 1_000 * 0.95);
      expect(shown, name).toBeLessThanOrEqual(most * 1_000 * 1.05);
    }
  });

  test('a request in a lane opens its receipt while it runs, by pointer and by keys', async (context) => {
    const server = await start();
    const page = await openLive(context, server);
    await hold(server, 'runs-on');
    const lanes = page.locator('.live-canvas');
    const receipt = page.locator('.live-receipt');
    await poll(async () => {
      // The first lane of the target is below the queue, and what runs reaches to the right side.
      const box = await lanes.boundingBox();
      await page.mouse.click((box?.x ?? 0) + (box?.width ?? 0) - 6, (box?.y ?? 0) + 132);
      return receipt.allInnerTexts();
    }).toEqual([expect.stringContaining('runs-on')]);
    // The page draws a little later than the server counts.
    await poll(() => receipt.innerText()).toMatch(/State\s+streaming/);
    await page.getByRole('button', { name: 'Close the receipt' }).click();
    expect(await receipt.count()).toBe(0);
    await lanes.focus();
    await page.keyboard.press('ArrowLeft');
    expect(await receipt.innerText()).toContain('runs-on');
    await page.keyboard.press('Escape');
    expect(await receipt.count()).toBe(0);
  });

  test('a receipt has the numbers of its answer; one that was cancelled is shown so', async (context) => {
    const server = await start();
    const page = await openLive(context, server);
    await isLive(page);
    const leaves = await hold(server, 'leaves');
    leaves.leave();
    const answer = await ask(`${server.url}/generate`, {
      body: { prompt: scripted({ tokens: 7, first_token_delay_ms: 30, token_delay_ms: 5 }) },
      headers: { 'x-request-id': 'answered' },
    });
    const { timings } = answer.json<{ timings: Record<string, number> }>();
    await poll(() => rows(page, 'ended')).toContainEqual(expect.stringMatching(/leaves\s+cancelled/));
    await page.getByRole('button', { name: 'answered' }).click();
    const receipt = page.locator('.live-receipt');
    await poll(() => receipt.innerText()).toContain('7 of the answer');
    for (const [name, ms] of Object.entries(timings)) {
      // What is written after the timings were is not in them.
      const shown = Number(await page.locator(`[data-timing="${name}"]`).innerText());
      if (name === 'total_ms' || name === 'gateway_ms') expect(shown).toBeGreaterThanOrEqual(ms);
      else expect([name, shown]).toEqual([name, ms]);
    }
  });

  test('a request that is chosen in a table shows its receipt, with the focus in it, and gives it back', async (context) => {
    const server = await start();
    const page = await openLive(context, server, { viewport: { width: 390, height: 500 } });
    await isLive(page);
    await ask(`${server.url}/generate`, {
      body: { prompt: scripted({ tokens: 3 }) },
      headers: { 'x-request-id': 'ended-here' },
    });
    const row = page.getByRole('button', { name: 'ended-here' });
    await row.click();
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '');
    const heading = page.getByRole('heading', { name: 'Receipt' });
    await poll(focused).toBe('Receipt');
    const box = await heading.boundingBox();
    expect(box?.y).toBeGreaterThanOrEqual(0);
    expect(box?.y).toBeLessThan(500);
    await page.keyboard.press('Escape');
    expect(await heading.count()).toBe(0);
    expect(await focused()).toBe('ended-here');
    await row.click();
    await page.getByRole('button', { name: 'Close the receipt' }).click();
    expect(await focused()).toBe('ended-here');
  });

  test('a picture that stands still goes on when it is told to', async (context) => {
    const server = await start();
    const page = await openLive(context, server);
    await isLive(page);
    const held = await hold(server, 'held');
    await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('1 of 2')]);
    await page.getByRole('button', { name: 'Pause' }).click();
    held.leave();
    await poll(() => metric(server, 'llm_serve_slots_used')).toBe(0);
    expect(await rows(page, 'targets')).toEqual([expect.stringContaining('1 of 2')]);
    expect(await stateOf(page)).toContain('Paused');
    // As far back as the page has looked, which may be less than half a second.
    const least = Number(await page.getByRole('slider').getAttribute('min'));
    const backMs = Math.min(500, -least);
    expect(backMs).toBeGreaterThan(0);
    await page.getByRole('slider').fill(String(-backMs));
    await poll(() => page.locator('.live-toolbar').innerText()).toContain(`${backMs} ms earlier`);
    await page.getByRole('button', { name: 'Go on' }).click();
    await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('0 of 2')]);
  });
});

describe('the connection', () => {
  test('that is lost is said to be, and comes back with a server that is started again', async (context) => {
    const port = String(await ownPort(onTestFinished));
    const first = await start('--port', port);
    const page = await openLive(context, first, { expects: CONNECTION_ERRORS });
    await isLive(page);
    await first.stop('SIGKILL');
    await poll(() => stateOf(page)).toContain('Connection lost');
    const second = await start('--port', port);
    await isLive(page);
    await generate(second, { prompt: 'hi' });
    await poll(() => rows(page, 'ended')).toHaveLength(1);
  });

  test('that brings nothing any more counts as lost, though it is open, and is tried again', async (context) => {
    const server = await start();
    const page = await openLive(context, server, { hasClock: true });
    await isLive(page);
    await hold(server, 'runs');
    await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('1 of 2')]);
    server.signal('SIGSTOP');
    onTestFinished(() => server.signal('SIGCONT'));
    await page.clock.fastForward(16_000);
    await poll(() => stateOf(page)).toContain('Connection lost');
    server.signal('SIGCONT');
    await isLive(page);
  });

  test('costs nothing while the tab is hidden, and comes back with it', async (context) => {
    const server = await start();
    // A tab without a window is never hidden.
    const before = `Object.defineProperty(document, 'visibilityState', { get: () => globalThis.shown ?? 'visible' })`;
    const page = await openLive(context, server, { before });
    await isLive(page);
    const turn = (shown: string) =>
      page.evaluate(`globalThis.shown = '${shown}'; document.dispatchEvent(new Event('visibilitychange'))`);
    const ended = page.waitForEvent('requestfailed', (request) => request.url().includes('/live'));
    await turn('hidden');
    await ended;
    expect(await stateOf(page)).toContain('while the tab is hidden');
    await turn('visible');
    await isLive(page);
  });

  test('asks for a key; an ordinary one sees its own requests, which the page explains', async (context) => {
    const server = await start('--auth.api-keys', '["a-key-of-a-person","another-key-here"]');
    const page = await openLive(context, server, { expects: [/401/] });
    await page.getByRole('textbox', { name: 'API key' }).fill('a-key-of-a-person');
    await page.getByRole('button', { name: 'Use keys' }).click();
    await isLive(page);
    await poll(() => page.locator('.live').innerText()).toContain('show the requests of your key');
    for (const key of ['a-key-of-a-person', 'another-key-here'])
      await ask(`${server.url}/generate`, {
        body: { prompt: 'hi' },
        headers: { authorization: `Bearer ${key}`, 'x-request-id': key },
      });
    await poll(() => count(page, 'finished')).toBe(2);
    expect(await rows(page, 'ended')).toEqual([expect.stringContaining('a-key-of-a-person')]);
  });
});

test('a page that was busy loses snapshots and shows what is now', async (context) => {
  const server = await start();
  const page = await openLive(context, server);
  await isLive(page);
  const busy = page.evaluate('for (const end = performance.now() + 1500; performance.now() < end; );');
  for (let round = 0; round < 30; round += 1) await generate(server, { prompt: scripted({ tokens: 1 }) });
  await busy;
  await poll(() => count(page, 'finished')).toBe(30);
  await poll(async () => (await rows(page, 'ended')).length).toBeGreaterThanOrEqual(25);
});

test('a server without requests says how to make some', async (context) => {
  const server = await start();
  const page = await openLive(context, server);
  await poll(() => page.locator('.live').innerText()).toContain(`llm-serve bench ${server.url}`);
  await generate(server, { prompt: 'hi' });
  await poll(() => page.locator('.live-empty').count()).toBe(0);
  // Without objectives everything would be within them.
  expect(await page.locator('[data-figure="goodput"]').count()).toBe(0);
});

describe.each(['dark', 'light'] as const)('in the %s theme', (colorScheme) => {
  test('axe finds nothing serious, with a receipt open, on a screen and on a phone', async (context) => {
    const server = await start();
    await Promise.all([hold(server, 'one'), hold(server, 'two')]);
    for (const id of ['three', 'four'])
      send(`${server.url}/stream`, { body: { prompt: 'hi' }, headers: { 'x-request-id': id } });
    for (const isPhone of [false, true]) {
      const page = await openLive(context, server, { colorScheme, isPhone });
      await poll(() => rows(page, 'queue')).toHaveLength(2);
      await page.getByRole('button', { name: 'three' }).click();
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      expect(
        serious.map(({ id, nodes }) => [
          id,
          nodes.map(({ target, failureSummary }) => [target, failureSummary]),
        ]),
      ).toEqual([]);
    }
  });
});
