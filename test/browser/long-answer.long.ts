/** A very long answer in a real browser, bounded by the clock: the page stays responsive while it arrives. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { openPage } from '../support/browser.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';

const answers = (page: Page) => page.locator('.message.assistant');

const PARTS = [
  'A paragraph with **some** words in `it`.\n\n',
  '- an item\n- another\n\n',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n',
  '```js\nconst x = 1;\n```\n\n',
  'words and more words on a line ',
];
const TEXT = PARTS.join('').repeat(2_500);
/** Of TEXT without its signs. */
const SHOWN_CHARACTERS = 240_000;
const LONGEST_TASK_MS = 200;
/** Tasks are measured by the clock: what else the machine does counts too. */
const TRIES = 3;

const OBSERVER = `window.tasks = [];
new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) window.tasks.push(Math.round(duration)); })
  .observe({ type: 'longtask', buffered: true });`;

/** The longest task of the page, in milliseconds; those below 50 count as none. */
async function longestTask(context: TestContext, url: string): Promise<number> {
  const page = await openPage(context, url, { before: OBSERVER });
  // Past the text field; the server plays it as fast as the browser takes it.
  await page.route('**/v1/chat/completions', (route) => {
    const body = route.request().postDataJSON() as object;
    const messages = [{ role: 'user', content: scripted({ text: TEXT }) }];
    return route.continue({ postData: JSON.stringify({ ...body, max_tokens: 100_000, messages }) });
  });
  await page.waitForFunction(() => document.querySelector<HTMLSelectElement>('.model-picker select')?.value);
  await page.getByLabel('Message', { exact: true }).fill('Write very much.');
  await page.keyboard.press('Enter');
  await answers(page).getByLabel('Regenerate answer').waitFor();
  const shown = () =>
    answers(page)
      .locator('.md')
      .evaluate((element) => element.textContent?.length ?? 0);
  // Long text is drawn a part a frame.
  await expect.poll(shown, { timeout: 120_000 }).toBeGreaterThan(SHOWN_CHARACTERS);
  return page.evaluate(() => Math.max(0, ...(window as unknown as { tasks: number[] }).tasks));
}

test('an answer of 100,000 tokens never stops the page for 200 ms', async (context) => {
  const flags = scriptedFlags({ target: { context_size: 400_000 } });
  const server = await startServer({ flags, endsWith: onTestFinished });
  const longest: number[] = [];
  while (longest.length < TRIES && !longest.some((ms) => ms < LONGEST_TASK_MS))
    longest.push(await longestTask(context, `${server.url}/`));
  console.log(`longest task: ${longest.join(', ')} ms`);
  expect(Math.min(...longest)).toBeLessThan(LONGEST_TASK_MS);
});
