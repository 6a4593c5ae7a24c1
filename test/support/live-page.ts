/** The Live view in a browser, as tests read it. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, type TestContext } from 'vitest';
import { openPage, type PageOptions } from './browser.ts';
import { ask, openAnswer } from './http-client.ts';
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

/** Of a length of time as the page writes it. */
export function milliseconds(text: string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000 };
  return [...text.matchAll(/([\d.]+)\s(ms|s|min)/g)].reduce(
    (sum, [, value, unit = '']) => sum + Number(value) * (units[unit] ?? Number.NaN),
    0,
  );
}

/** Seconds between which the median of a histogram of /metrics lies, of all its labels. */
export async function medianBucket(
  server: { readonly url: string },
  name: string,
): Promise<{ readonly least: number; readonly most: number }> {
  const { text } = await ask(`${server.url}/metrics`);
  const counts = new Map<number, number>();
  for (const line of text.split('\n')) {
    const [, le, count] = new RegExp(`^${name}_bucket\\{.*le="([^"]+)".*\\} (\\d+)$`).exec(line) ?? [];
    if (le === undefined) continue;
    const limit = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
    counts.set(limit, (counts.get(limit) ?? 0) + Number(count));
  }
  const limits = [...counts.keys()].sort((a, b) => a - b);
  const half = (counts.get(Number.POSITIVE_INFINITY) ?? 0) / 2;
  // With an even number it may lie between two values.
  const first = limits.findIndex((limit) => (counts.get(limit) ?? 0) >= half);
  const last = limits.findIndex((limit) => (counts.get(limit) ?? 0) >= Math.floor(half) + 1);
  return { least: limits[first - 1] ?? 0, most: limits[last] ?? Number.NaN };
}
