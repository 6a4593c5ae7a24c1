/** The Admin view in a browser, on a server of the test's own process: what its tests do again and again. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, type TestContext } from 'vitest';
import { openPage, type PageOptions } from '../support/browser.ts';
import { ask } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { type ComposedServer, startServer } from '../support/server.ts';

export type Section = 'keys' | 'limits' | 'usage' | 'targets' | 'queue' | 'configuration' | 'audit';

/** What hangs in a slot does so as long as the test wants it. */
const PATIENT = { target: { idle_timeout_ms: 3_600_000 } };

export function startAdmin(...flags: readonly string[]): Promise<ComposedServer> {
  return startServer({ flags: [...scriptedFlags(PATIENT), ...flags], endsWith: onTestFinished });
}

export async function openAdmin(
  context: TestContext,
  server: { readonly url: string },
  section: Section,
  options: PageOptions = {},
): Promise<Page> {
  const page = await openPage(context, `${server.url}/#/admin/${section}`, options);
  await page.locator('.admin').waitFor();
  return page;
}

export const poll = <Value>(read: () => Promise<Value>) => expect.poll(read, { timeout: 120_000 });

/** The text of the view. */
export const text = (page: Page) => page.locator('.admin').innerText();
/** The text of each row. */
export const rows = (page: Page) => page.locator('.admin tbody tr').allInnerTexts();

/** A program with a key. */
export async function generateWith(server: { readonly url: string }, key: string | undefined) {
  const { status, json } = await ask(`${server.url}/generate`, {
    body: { prompt: scripted({ tokens: 4 }) },
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
  });
  const { error } = json();
  return status === 200 ? 'answered' : `${status} ${error.code}`;
}

/** As the admin API makes one. */
export async function makeKey(
  server: { readonly url: string },
  fields: Readonly<Record<string, unknown>>,
  adminKey?: string,
): Promise<{ readonly id: string; readonly key: string }> {
  const made = await ask(`${server.url}/admin/keys`, {
    body: fields,
    headers: adminKey === undefined ? {} : { authorization: `Bearer ${adminKey}` },
  });
  expect(made.status, made.text).toBe(201);
  return made.json();
}

/** What has the focus, as it is named. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!(element instanceof HTMLElement)) return '';
    const labels =
      element instanceof HTMLInputElement || element instanceof HTMLSelectElement ? element.labels : null;
    const words = element.getAttribute('aria-label') ?? labels?.[0]?.innerText ?? element.innerText;
    return words.replaceAll(/\s+/g, ' ').trim();
  });
}

/** Presses Tab until the element has the focus. */
export async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const seen: string[] = [];
  for (let presses = 0; presses < 80; presses += 1) {
    const at = await focused(page);
    if (typeof name === 'string' ? at === name : name.test(at)) return;
    seen.push(at);
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab does not reach ${String(name)}, but ${seen.join(' | ')}`);
}

export async function press(page: Page, name: string | RegExp): Promise<void> {
  await tabTo(page, name);
  await page.keyboard.press('Enter');
}

/** By the link of the section. */
export async function goTo(page: Page, section: Section): Promise<void> {
  const isThere = () =>
    page.evaluate((name) => document.activeElement?.getAttribute('href') === `#/admin/${name}`, section);
  for (let presses = 0; presses < 80 && !(await isThere()); presses += 1) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator(`.tab[aria-current="page"][href="#/admin/${section}"]`).waitFor();
}
