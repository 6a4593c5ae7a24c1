/** The Live view in a browser, as tests read it. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, type TestContext } from 'vitest';
import { openPage, type PageOptions } from './browser.ts';
import { openAnswer } from './http-client.ts';
import { scripted } from './scripted-server.ts';

/** What the console says of a server that is stopped, or that wants a key. */
export const CONNECTION_ERRORS = [
  /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY/,
];

/** Opens it, and waits for its first snapshot unless that is not to come. */
export async function openLive(
  test: TestContext,
  server: { readonly url: string },
  options: PageOptions = {},
): Promise<Page> {
  const page = await openPage(test, `${server.url}/#/live`, options);
  await page.locator('.live-toolbar').waitFor();
  return page;
}

export function stateOf(page: Page): Promise<string> {
  return page.locator('.live-state').innerText();
}

export function isLive(page: Page): Promise<void> {
  return expect.poll(() => stateOf(page), { timeout: 60_000 }).toMatch(/^\s*Live/);
}

/** A figure above the charts, as it is shown. */
export function figure(page: Page, name: string): Promise<string> {
  return page.locator(`[data-figure="${name}"]`).innerText();
}

/** Figures have a narrow space between thousands. */
export async function count(page: Page, name: string): Promise<number> {
  return Number((await figure(page, name)).replaceAll(/\s/g, ''));
}

/** The text of each row of a table. */
export function rows(page: Page, table: 'targets' | 'queue' | 'ended'): Promise<string[]> {
  return page.locator(`[aria-labelledby="live-${table}"] tbody tr`).allInnerTexts();
}

/** A request that says two words and goes on until the test leaves. */
export async function hold(server: { readonly url: string }, id: string) {
  const held = await openAnswer(`${server.url}/stream`, {
    body: { prompt: scripted({ text: 'one two three', fail: 'hang-mid-stream', fail_after_tokens: 2 }) },
    headers: { 'x-request-id': id },
  });
  // Before its server is ended, which would wait for it.
  onTestFinished(() => held.leave());
  await held.until((text) => text.includes('two'));
  return held;
}
