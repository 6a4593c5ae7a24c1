/**
 * Very long answers in a real browser, bounded by the clock: the page stays responsive while they arrive. Of each shape the median of
 * three tries counts: tasks are measured by the clock, and what else the machine does is in them.
 */
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { openPage } from '../support/browser.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';
import { answersOf, messageBox } from './chat-page.ts';

/** About 100,000 tokens each. */
const CHARACTERS = 300_000;
const USUAL = [
  'A paragraph with **some** words in `it`.\n\n',
  '- an item\n- another\n\n',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n',
  '```js\nconst x = 1;\n```\n\n',
  'words and more words on a line ',
].join('');

/** What models write, and what they write when they loop. */
const SHAPES: Readonly<Record<string, string>> = {
  'of usual text': filled(USUAL),
  'of one line': filled('words and more words on a line '),
  'of one word': filled('a'),
  'of one table': `| a | b | c |\n|---|---|---|\n${filled('| one | two | **three** |\n')}`,
  'of one list': filled('- an item with `code` and **words**\n'),
  'of one block of code': `\`\`\`js\n${filled('const x = call(1, "two"); // three\n')}\`\`\``,
  'of quotes in quotes': filled(`${'> '.repeat(600)}\n`),
  'of lists in lists': filled(`${'- '.repeat(600)}\n`),
  'of lists that go in and out': filled(
    Array.from({ length: 24 }, (_, at) => `${'  '.repeat(at < 12 ? at : 24 - at)}- item\n`).join(''),
  ),
  'of brackets and stars': filled('[[[(((***___`~~'),
};

function filled(part: string): string {
  return part.repeat(Math.ceil(CHARACTERS / part.length));
}

const LONGEST_TASK_MS = 200;
const TRIES = 3;

const OBSERVER = `window.tasks = [];
new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) window.tasks.push(Math.round(duration)); })
  .observe({ type: 'longtask', buffered: true });`;

/** The longest task of the page, in milliseconds; those below 50 count as none. */
async function longestTask(context: TestContext, url: string, text: string): Promise<number> {
  const page = await openPage(context, url, { before: OBSERVER });
  // Past the text field; the server plays it as fast as the browser takes it.
  await page.route('**/v1/chat/completions', (route) => {
    const body = route.request().postDataJSON() as object;
    const messages = [{ role: 'user', content: scripted({ text }) }];
    return route.continue({ postData: JSON.stringify({ ...body, max_tokens: 200_000, messages }) });
  });
  await page.waitForFunction(() => document.querySelector<HTMLSelectElement>('.model-picker select')?.value);
  await messageBox(page).fill('Write very much.');
  await page.keyboard.press('Enter');
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  // Long text is drawn a part a frame: its end is there when all of it is.
  await answersOf(page).getByText(END).waitFor();
  const longest = await page.evaluate(() => Math.max(0, ...(window as unknown as { tasks: number[] }).tasks));
  await page.close();
  return longest;
}

const END = 'These are the last words.';

for (const [shape, text] of Object.entries(SHAPES))
  test(`an answer of 100,000 tokens ${shape} never stops the page for 200 ms`, async (context) => {
    const flags = scriptedFlags({ target: { context_size: 400_000 } });
    const server = await startServer({ flags, endsWith: onTestFinished });
    const longest: number[] = [];
    for (let at = 0; at < TRIES; at += 1)
      longest.push(await longestTask(context, `${server.url}/`, `${text}\n\n${END}`));
    console.log(`longest tasks, ${shape}: ${longest.join(', ')} ms`);
    expect(longest.toSorted((one, other) => one - other)[1], 'on a quiet machine').toBeLessThan(
      LONGEST_TASK_MS,
    );
  });
