/** A person at the Chat view, in a real browser, on a server that plays scripts. */
import { readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openPage } from '../support/browser.ts';
import { startExecutable } from '../support/executable.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';
import { answersOf, openChat, say, seriousProblems } from './chat-page.ts';

const KEY = 'a-key-for-this-test';

test('a person asks, edits, regenerates, goes back to an earlier branch, and finds all of it again later', async (context) => {
  const { page } = await openChat(context);
  await say(page, scripted({ text: 'The **first** answer.' }));
  const answer = answersOf(page).first();
  await answer.getByText('The first answer.').waitFor();
  expect(await answer.locator('strong').textContent()).toBe('first');
  await answer.locator('.receipt summary').click();
  const receipt = await answer.locator('.receipt dl').textContent();
  for (const label of ['Queue', 'First token', 'Total', 'Target', 'demo/scripted/0', 'Request'])
    expect(receipt).toContain(label);

  await answer.getByLabel('Regenerate answer').click();
  await answer.getByText('2 / 2').waitFor();
  await page.getByLabel('Previous version').click();
  await page.getByText('1 / 2').waitFor();

  await page.locator('.message.user').hover();
  await page.getByLabel('Edit message').click();
  await page.getByLabel('Edit message').fill(scripted({ text: 'Another answer.' }));
  await page.getByLabel('Edit message').press('Enter');
  await answersOf(page).getByText('Another answer.').waitFor();
  await page.getByText('2 / 2').waitFor();
  await page.getByLabel('Previous version').click();
  await page.getByText('The first answer.').waitFor();

  // The tab has it open again; another one finds it in the list.
  await page.reload();
  await page.getByText('The first answer.').waitFor();
  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.locator('.conversations .entry').first().click();
  await other.getByText('The first answer.').waitFor();
});

test('Esc stops an answer, on the server too, and what has come stays', async (context) => {
  const { page, server } = await openChat(context);
  await say(page, scripted({ tokens: 10_000, token_delay_ms: 20 }, 'word '.repeat(50)));
  await answersOf(page).getByText('word').waitFor();
  await page.keyboard.press('Escape');
  await answersOf(page).getByText('Stopped.').waitFor();
  // Its slot is free again.
  const running = async () => (await fetch(`${server.url}/metrics`)).text();
  await expect.poll(running).toMatch(/^llm_serve_slots_used\{[^}]*\} 0$/m);
  expect(await answersOf(page).textContent()).toContain('word');
});

test('the model that is chosen answers, and is chosen again after a reload', async (context) => {
  const { page } = await openChat(context, {}, { id: 'first' }, { id: 'second' });
  await page.getByRole('combobox', { name: 'Model' }).selectOption('second');
  await say(page, 'one two');
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  expect(await answersOf(page).locator('.who').textContent()).toBe('second');
  await page.reload();
  await expect.poll(() => page.getByRole('combobox', { name: 'Model' }).inputValue()).toBe('second');
});

const HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>[x](javascript:window.hit=1)';

test('what prompts, answers, model names, tool arguments and imported files contain is never run', async (context) => {
  const { page } = await openChat(context, {}, { id: HOSTILE });
  await page.getByRole('tab', { name: 'Tools' }).click();
  await page.getByLabel('Tools, as JSON').fill('[{"name":"look"}]');
  const text = `${HOSTILE}\n\n\`\`\`html\n${HOSTILE}\n\`\`\`\n\n![i](https://evil.example/track.png)`;
  await say(
    page,
    scripted(
      { text, reasoning: HOSTILE, tool_calls: [{ name: 'look', arguments: { at: HOSTILE } }] },
      HOSTILE,
    ),
  );
  await page.getByLabel('Result of look').fill(HOSTILE);
  await page.getByRole('button', { name: 'Send result' }).click();
  await expect.poll(() => answersOf(page).count()).toBe(2);
  for (const summary of await page.locator('.reasoning summary').all()) await summary.click();
  await page.getByLabel('Copy as code').click();
  await page.getByRole('tab', { name: 'Python' }).click();
  await page.keyboard.press('Escape');

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export all' }).click(),
  ]);
  const file = await readFile(await download.path(), 'utf8');
  const changed = file.replaceAll('"title": ""', `"title": ${JSON.stringify(HOSTILE)}`);
  await page.getByLabel('File with conversations').setInputFiles({
    name: 'c.json',
    mimeType: 'application/json',
    buffer: Buffer.from(changed),
  });
  await page.getByText('1 conversation imported.').waitFor();
  expect(await page.locator('.chat-title').textContent()).toBe(HOSTILE);
  expect(await page.evaluate(() => 'hit' in window)).toBe(false);
  expect(await page.locator('.messages script, .messages img, .messages a[href^=javascript]').count()).toBe(
    0,
  );
});

test('an imported file that is not right is refused in words, and nothing is taken of it', async (context) => {
  const { page } = await openChat(context);
  await page.getByLabel('File with conversations').setInputFiles({
    name: 'c.json',
    mimeType: 'application/json',
    buffer: Buffer.from('{"format":"llm-serve-conversations","version":1,"conversations":[{"messages":1}]}'),
  });
  await page.getByText('conversations[0].messages must be an object.').waitFor();
  expect(await page.locator('.conversations li').count()).toBe(0);
});

test('a server that goes in the middle of an answer: the page says so, keeps what it has, and goes on when it is back', async (context) => {
  const flags = scriptedFlags();
  const first = await startExecutable({ flags, endsWith: onTestFinished });
  const page = await openPage(context, `${first.url}/`, {
    expects: [/ERR_CONNECTION|ERR_INCOMPLETE|Failed to load/],
  });
  await say(page, scripted({ tokens: 1000, token_delay_ms: 20 }, 'word '.repeat(50)));
  await answersOf(page).getByText('word').waitFor();
  await first.stop('SIGKILL');
  await answersOf(page).getByText('The connection was lost before the answer was complete.').waitFor();
  await page.getByRole('alert').getByText('The server does not answer.').waitFor();
  expect(await answersOf(page).textContent()).toContain('word');
  // A question that meets no server waits for it.
  await say(page, scripted({ text: 'Back again.' }));
  await answersOf(page).getByText('Is it running?').waitFor();
  await startExecutable({ flags: [...flags, '--port', String(first.port)], endsWith: onTestFinished });
  await answersOf(page).getByText('Back again.').waitFor();
  await expect.poll(() => page.getByRole('alert').count()).toBe(0);
});

test('a refusal tells when to try again; an error in the answer has its words', async (context) => {
  const { page } = await openChat(context, { expects: [/Failed to load resource.*(429|502|503)/] });
  await say(page, scripted({ fail: 'rate-limited' }));
  await answersOf(page).getByText('Try again in 7 seconds.').waitFor();
  await say(page, scripted({ fail: 'mid-stream' }, 'one two three four'));
  await expect.poll(() => page.locator('.failure').count()).toBe(2);
});

test('with keys on, the page asks for one, uses it, and keeps it for the tab alone', async (context) => {
  const server = await startServer({
    flags: scriptedFlags(),
    environment: { LLM_SERVE_AUTH__API_KEYS: JSON.stringify([KEY]) },
    endsWith: onTestFinished,
  });
  const page = await openPage(context, `${server.url}/`, { expects: [/Failed to load resource.*401/] });
  await page.getByLabel('API key', { exact: true }).fill('not-the-key-at-all');
  await page.getByRole('button', { name: 'Use keys' }).click();
  await page.getByText('The API key is not valid.').waitFor();
  await page.getByLabel('API key', { exact: true }).fill(KEY);
  await page.getByRole('button', { name: 'Use keys' }).click();
  await say(page, 'one two');
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  await page.reload();
  await say(page, 'three');
  await expect.poll(() => answersOf(page).getByLabel('Regenerate answer').count()).toBe(2);
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain(KEY);
  expect(await page.evaluate(() => JSON.stringify(sessionStorage))).toContain(KEY);
});

test('JSON schema: the answer is held to it, and the page says whether it follows', async (context) => {
  const { page } = await openChat(context);
  await page.getByRole('tab', { name: 'JSON schema' }).click();
  await page.getByRole('button', { name: 'Insert an example' }).click();
  await page.getByText('Answers are JSON that follows this schema.').waitFor();
  await say(page, scripted({ text: '{"city":"Rome","population":2800000}' }));
  await page.getByText('Follows the schema.', { exact: true }).waitFor();
  await page.getByLabel('JSON Schema of the answer').fill('{');
  await expect.poll(() => page.getByText('Not valid JSON').count()).toBeGreaterThan(0);
  expect(await page.getByLabel('Send', { exact: true }).isDisabled()).toBe(true);
});

test('parameters and the system prompt are sent as they are set, and what is not set is not sent', async (context) => {
  const { page } = await openChat(context);
  await page.getByLabel('System prompt').fill('Be short.');
  await page.getByLabel('Temperature').fill('0.5');
  await page.getByLabel('Stop strings').fill('END');
  const sent = page.waitForRequest('**/v1/chat/completions');
  await say(page, 'hi');
  expect((await sent).postDataJSON()).toEqual({
    model: 'demo',
    messages: [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'hi' },
    ],
    temperature: 0.5,
    stop: ['END'],
    stream: true,
    stream_options: { include_usage: true },
  });
});

for (const colorScheme of ['light', 'dark'] as const)
  test(`axe finds nothing serious in the ${colorScheme} page, nor on a phone`, async (context) => {
    for (const isPhone of [false, true]) {
      const { page } = await openChat(context, { colorScheme, isPhone });
      await say(
        page,
        scripted({
          text: '# T\n\ntext [a](https://a.example) `c`\n\n```js\nconst x = 1; // c\n```\n\n| a |\n|---|\n| 1 |',
          reasoning: 'Hm.',
        }),
      );
      await answersOf(page).getByLabel('Regenerate answer').waitFor();
      if (!isPhone) await answersOf(page).locator('.receipt summary').click();
      expect(await seriousProblems(page)).toEqual([]);
      await page.getByLabel('Copy as code').click();
      expect(await seriousProblems(page)).toEqual([]);
    }
  });
