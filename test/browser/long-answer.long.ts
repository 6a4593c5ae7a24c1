/** A very long answer in a real browser, bounded by the clock: the page stays responsive while it arrives. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { openPage } from '../support/browser.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';

const answers = (page: Page) => page.locator('.message.assistant');

test('an answer of 100,000 tokens never stops the page for 200 ms', async (context) => {
  const before = `window.tasks = [];
    new PerformanceObserver((list) => { for (const { duration, startTime } of list.getEntries()) window.tasks.push([Math.round(startTime), Math.round(duration)]); })
      .observe({ type: 'longtask', buffered: true });`;
  const server = await startServer({
    flags: scriptedFlags({ target: { context_size: 400_000 } }),
    endsWith: onTestFinished,
  });
  const page = await openPage(context, `${server.url}/`, { before });
  const parts = [
    'A paragraph with **some** words in `it`.\n\n',
    '- an item\n- another\n\n',
    '| a | b |\n|---|---|\n| 1 | 2 |\n\n',
    '```js\nconst x = 1;\n```\n\n',
    'words and more words on a line ',
  ];
  const text = parts.join('').repeat(2_500);
  // The server plays it as fast as the browser takes it; the body is sent past the text field.
  await page.route('**/v1/chat/completions', (route) => {
    const body = route.request().postDataJSON() as { messages: { content: string }[] };
    return route.continue({
      postData: JSON.stringify({
        ...body,
        max_tokens: 100_000,
        messages: [{ role: 'user', content: scripted({ text }) }],
      }),
    });
  });
  await page.waitForFunction(() => document.querySelector<HTMLSelectElement>('.model-picker select')?.value);
  await page.getByLabel('Message', { exact: true }).fill('Write very much.');
  await page.keyboard.press('Enter');
  await answers(page).getByLabel('Regenerate answer').waitFor({ timeout: 150_000 });
  const shown = () =>
    answers(page)
      .locator('.md')
      .evaluate((element) => element.textContent?.length ?? 0);
  // Long text is drawn a part a frame.
  await expect.poll(shown, { timeout: 60_000 }).toBeGreaterThan(300_000);
  const tasks = await page.evaluate(() =>
    (window as unknown as { tasks: number[][] }).tasks.map(([, duration = 0]) => duration),
  );
  console.log(`longest task: ${Math.max(0, ...tasks)} ms; ${tasks.length} over 50 ms`);
  expect(Math.max(0, ...tasks)).toBeLessThan(200);
});
