/** Who sees what in the Live view: keys of the tab, entered and forgotten while it is open. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { startExecutable } from '../support/executable.ts';
import { ask } from '../support/http-client.ts';
import { isLive, openLive, rows } from '../support/live-page.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

const API_KEY = 'a-key-of-a-person';
const OTHER_KEY = 'a-key-of-another';
const ADMIN_KEY = 'a-key-of-an-admin';
const ADMINS = ['--auth.admin-keys', JSON.stringify([ADMIN_KEY])];
const KEYS = ['--auth.api-keys', JSON.stringify([API_KEY, OTHER_KEY])];

function start(...flags: readonly string[]) {
  return startExecutable({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });
}

async function give(page: Page, keys: { readonly api?: string; readonly admin?: string }) {
  if (keys.api !== undefined) await page.getByLabel('API key').fill(keys.api);
  if (keys.admin !== undefined) await page.getByLabel('Admin key').fill(keys.admin);
  await page.getByRole('button', { name: 'Use keys' }).click();
}

/** A request with the id, answered. */
async function request(url: string, id: string, key?: string) {
  const { status } = await ask(`${url}/generate`, {
    body: { prompt: scripted({ tokens: 2 }) },
    headers: { 'x-request-id': id, ...(key !== undefined && { authorization: `Bearer ${key}` }) },
  });
  expect(status).toBe(200);
}

const poll = <Value>(read: () => Promise<Value>) => expect.poll(read, { timeout: 60_000 });
const text = (page: Page) => page.locator('.live').innerText();
const OWN = 'An admin key';

test('where there are admin keys alone, the page sees its own address, and with one everything', async (context) => {
  const server = await start(...ADMINS);
  const page = await openLive(context, server);
  await isLive(page);
  expect(await text(page)).toContain('show the requests of your address');
  await page.getByRole('button', { name: 'Enter an admin key' }).click();
  await give(page, { admin: ADMIN_KEY });
  await poll(() => text(page)).not.toContain(OWN);
  await isLive(page);
  await request(server.url, 'from-anyone');
  await poll(() => rows(page, 'ended')).toEqual([expect.stringContaining('from-anyone')]);
});

test('an admin key beside an API key shows all, in Chat the API key is sent; forgotten, it asks again and shows nothing of what it saw', async (context) => {
  const server = await start(...ADMINS, ...KEYS);
  const page = await openLive(context, server, { expects: [/401/] });
  await give(page, { api: API_KEY });
  await isLive(page);
  await poll(() => text(page)).toContain('show the requests of your key');
  await request(server.url, 'before', OTHER_KEY);
  await page.getByRole('button', { name: 'Enter an admin key' }).click();
  await give(page, { admin: ADMIN_KEY });
  await poll(() => text(page)).not.toContain(OWN);
  await isLive(page);
  await request(server.url, 'of-another', OTHER_KEY);
  await poll(() => rows(page, 'ended')).toEqual([expect.stringContaining('of-another')]);
  await page.locator('.nav-link', { hasText: 'Chat' }).click();
  await poll(() => page.locator('.model-picker').innerText()).toContain('demo');
  await page.locator('.nav-link', { hasText: 'Live' }).click();
  await isLive(page);
  await page.getByRole('button', { name: 'of-another' }).click();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: /^Keys/ }).click();
  await page.getByRole('button', { name: 'Forget keys' }).click();
  await poll(() => page.locator('.live').innerText()).not.toContain('of-another');
  await poll(() => page.getByRole('dialog').count()).toBe(1);
  await give(page, { api: API_KEY });
  await isLive(page);
  await poll(() => text(page)).toContain('show the requests of your key');
  // Neither bars nor receipts.
  expect(await text(page)).toContain('No request yet');
  expect(await text(page)).not.toContain('of-another');
  await request(server.url, 'of-the-person', API_KEY);
  await poll(() => rows(page, 'ended')).toEqual([expect.stringContaining('of-the-person')]);
});

test('what a key saw in Live is forgotten when another one is entered in Chat', async (context) => {
  const server = await start(...ADMINS, ...KEYS);
  const page = await openLive(context, server, { expects: [/401/] });
  await give(page, { admin: ADMIN_KEY });
  await isLive(page);
  await request(server.url, 'of-another', OTHER_KEY);
  await poll(() => rows(page, 'ended')).toEqual([expect.stringContaining('of-another')]);
  await page.locator('.nav-link', { hasText: 'Chat' }).click();
  await page.getByRole('button', { name: /^Keys/ }).click();
  await page.getByLabel('Admin key').fill('');
  await give(page, { api: API_KEY });
  await page.locator('.nav-link', { hasText: 'Live' }).click();
  await poll(() => text(page)).toContain('No request yet');
  expect(await text(page)).not.toContain('of-another');
});
