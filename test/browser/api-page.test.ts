/** The API page at /docs in a real browser: it shows the description, and its examples run as they stand. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { openPage } from '../support/browser.ts';
import { startServer } from '../support/server.ts';

const TARGET = {
  backend: 'scripted',
  model: 'smollm2',
  // Also what the examples of structured output and of tool calls ask for.
  text: '{"city":"Paris"}',
  tool_calls: [{ name: 'get_weather', arguments: { city: 'Paris' } }],
};
/** One route of each protocol, and one without a body. */
const SAMPLE = ['/generate', '/v1/chat/completions', '/v1/messages', '/api/chat', '/health'];

async function opened(
  context: Parameters<typeof openPage>[0],
  path: string,
  colorScheme: 'light' | 'dark',
  {
    flags = [],
    expects = [],
  }: { readonly flags?: readonly string[]; readonly expects?: readonly RegExp[] } = {},
): Promise<Page> {
  const models = JSON.stringify([{ id: 'smollm2', targets: [TARGET] }]);
  const server = await startServer({
    flags: ['--models', models, '--rate-limit.enabled', 'false', ...flags],
    endsWith: onTestFinished,
  });
  const page = await openPage(context, `${server.url}${path}`, { colorScheme, expects });
  await page.locator('.opblock').first().waitFor();
  return page;
}

/** The status of the answer. */
async function executed(page: Page, path: string): Promise<string | undefined> {
  const block = page
    .locator('.opblock')
    .filter({ has: page.locator(`[data-path="${path}"]`) })
    .first();
  await block.locator('.opblock-summary-control').click();
  await block.getByRole('button', { name: 'Execute' }).click();
  const status = block.locator('.live-responses-table .response-col_status').last();
  await status.waitFor();
  const text = (await status.textContent())?.trim().slice(0, 3);
  await block.locator('.opblock-summary-control').click();
  return text;
}

test('examples are executed as they stand', async (context) => {
  const page = await opened(context, '/docs', 'light');
  for (const path of SAMPLE) expect([path, await executed(page, path)]).toEqual([path, '200']);
});

test('with keys, examples have the ones that the tab was given on the page at /', async (context) => {
  const flags = ['--auth.api-keys', '["key-of-ann"]', '--auth.admin-keys', '["key-of-boss"]'];
  const page = await opened(context, '/docs', 'light', { flags, expects: [/status of 401/] });
  expect(await executed(page, '/generate')).toBe('401');
  await page.evaluate(() => {
    sessionStorage.setItem('llm-serve.key', 'key-of-ann');
    sessionStorage.setItem('llm-serve.admin-key', 'key-of-boss');
  });
  await page.reload();
  await page.locator('.opblock').first().waitFor();
  for (const path of ['/generate', '/v1/chat/completions', '/admin/reload'])
    expect([path, await executed(page, path)]).toEqual([path, '200']);
});

for (const path of ['/docs', '/docs/'])
  test(`${path} has our name and the way back, is dark where the system is, and nothing in it is refused by its policy`, async (context) => {
    const page = await opened(context, path, 'dark');
    expect(await page.title()).toBe('API – LLM Serving API');
    expect(await page.locator('.topbar').count()).toBe(0);
    expect(await page.evaluate(() => document.documentElement.className)).toBe('dark-mode');
    await page.getByRole('link', { name: 'LLM Serving API' }).click();
    await page.getByLabel('Message', { exact: true }).waitFor();
  });
