/** The Admin view in a real browser, on a real server: its sections by keyboard, what they refuse, and what they forget. */
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import type { Static } from 'typebox';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { QueueAnswer } from '../../src/http/routes/admin/answer-schemas.ts';
import { openPage } from '../support/browser.ts';
import { farFromMidnight } from '../support/calendar.ts';
import { ask, openAnswer } from '../support/http-client.ts';
import { CONNECTION_ERRORS, hold } from '../support/live-page.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';
import {
  focused,
  generateWith,
  goTo,
  makeKey,
  openAdmin,
  poll,
  press,
  rows,
  type Section,
  startAdmin,
  tabTo,
  text,
} from './admin-page.ts';
import { seriousProblems } from './chat-page.ts';

const SECTIONS: readonly Section[] = [
  ...(['keys', 'limits', 'usage', 'targets', 'queue'] as const),
  ...(['configuration', 'audit'] as const),
];
const ADMIN_KEY = 'a-key-of-an-admin';
const ADMINS = ['--auth.admin-keys', JSON.stringify([ADMIN_KEY])];

const secretField = (page: Page) => page.getByLabel('Secret', { exact: true });

describe('by keyboard alone', () => {
  test('a key is made, used up, seen in limits and usage, and revoked', async (context) => {
    await farFromMidnight();
    const server = await startAdmin();
    const page = await openAdmin(context, server, 'keys');
    await poll(() => text(page)).toContain('There is no key yet');
    expect(await text(page)).toContain('llm-serve keys create');
    await press(page, 'New key');
    await poll(() => focused(page)).toBe('Name');
    await page.keyboard.type('alice');
    await tabTo(page, 'Team');
    await page.keyboard.type('red');
    await press(page, 'Limits of its own');
    await tabTo(page, 'requests an hour');
    await page.keyboard.type('3');
    await page.keyboard.press('Enter');

    await secretField(page).waitFor();
    const secret = await secretField(page).inputValue();
    expect(secret).toMatch(/^sk-llm-\S{40,}$/);
    expect(await page.getByRole('dialog').innerText()).toContain('not shown again');
    await poll(() => focused(page)).toBe('Copy');
    await page.keyboard.press('Enter');
    await poll(() => page.getByRole('dialog').innerText()).toContain('Copied');
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret);
    await page.keyboard.press('Escape');
    await poll(() => page.getByRole('dialog').count()).toBe(0);
    await poll(() => rows(page)).toEqual([expect.stringMatching(/alice.*red.*3 requests an hour.*active/s)]);

    // As soon as the store has a key, nobody asks without one.
    await poll(async () => (await ask(`${server.url}/v1/models`)).status).toBe(401);
    for (const _ of [1, 2, 3]) expect(await generateWith(server, secret)).toBe('answered');
    expect(await generateWith(server, secret)).toBe('429 rate_limited');

    await goTo(page, 'limits');
    await poll(() => text(page)).toMatch(/key alice\s+requests an hour\s+used up/);
    await goTo(page, 'usage');
    await poll(() => rows(page)).toEqual([expect.stringMatching(/^red\s+4\s+0\s+1\s/)]);
    const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Download as CSV')]);
    expect(await readFile((await download.path()) ?? '', 'utf8')).toMatch(
      /^team,day,requests.*\r\nred,20\S+,4,0,1,/,
    );
    await goTo(page, 'keys');
    await poll(() => rows(page)).toEqual([
      expect.stringMatching(/4 requests, \d+ tokens, last after \d\d:00/),
    ]);

    await press(page, 'alice');
    await poll(() => page.getByRole('dialog').innerText()).toMatch(/requests an hour\s+used up/);
    await press(page, 'Revoke …');
    await press(page, 'Revoke');
    await poll(() => text(page)).toContain('The key alice was revoked.');
    await poll(() => generateWith(server, secret)).toBe('401 revoked_api_key');
    expect(await text(page)).toContain('All keys are revoked');
    await tabTo(page, 'Show revoked');
    await page.keyboard.press('Space');
    await poll(() => rows(page)).toEqual([expect.stringMatching(/alice.*revoked 20/s)]);

    await goTo(page, 'audit');
    await poll(() => rows(page)).toEqual([
      expect.stringMatching(/this machine\s.*key\.revoke/s),
      expect.stringMatching(/this machine\s.*key\.create.*requests_per_hour/s),
    ]);
    expect(await page.content()).not.toContain(secret);
  });

  test('a target is taken out of service and back', async (context) => {
    const server = await startAdmin();
    const page = await openAdmin(context, server, 'targets');
    await poll(() => rows(page)).toEqual([expect.stringMatching(/ready\s+ready\s+0 of \d+/)]);
    await press(page, /^Drain /);
    await poll(() => rows(page)).toEqual([expect.stringMatching(/draining/)]);
    expect(await text(page)).toMatch(/gets no new requests; nothing runs there/);
    await press(page, /^Enable /);
    await poll(() => rows(page)).toEqual([expect.stringMatching(/ready\s+ready/)]);
  });
});

describe('a secret', () => {
  test('closed without copying asks once more, and is nowhere afterwards', async (context) => {
    const said: string[] = [];
    const server = await startAdmin();
    const page = await openAdmin(context, server, 'keys');
    page.on('console', (message) => said.push(message.text()));
    await page.getByRole('button', { name: 'New key' }).click();
    await page.getByLabel('Name', { exact: true }).fill('bob');
    await page.getByRole('button', { name: 'Create key' }).click();
    const secret = await secretField(page).inputValue();
    // A press beside the dialog does not lose it, nor does one Escape.
    await page.mouse.click(5, 5);
    await page.keyboard.press('Escape');
    await poll(() => page.getByRole('dialog').innerText()).toContain('It was not copied');
    expect(await secretField(page).inputValue()).toBe(secret);
    await page.getByRole('button', { name: 'Close without copying' }).click();
    await poll(() => page.getByRole('dialog').count()).toBe(0);
    const kept = await page.evaluate(() =>
      JSON.stringify([
        document.documentElement.outerHTML,
        [...document.querySelectorAll('input')].map(({ value }) => value),
        { ...sessionStorage },
        { ...localStorage },
        history.state,
        location.href,
        document.cookie,
      ]),
    );
    expect(kept).not.toContain(secret);
    expect(said.join()).not.toContain(secret);
    expect(await heapOf(page)).not.toContain(secret);
  });

  test('of a rotation is another one, and the one before is accepted as long as was chosen', async (context) => {
    const server = await startAdmin();
    const { key } = await makeKey(server, { name: 'ci' });
    const page = await openAdmin(context, server, 'keys');
    await page.getByRole('button', { name: 'ci' }).click();
    await page.getByRole('button', { name: 'Rotate …' }).click();
    await page.getByRole('combobox').selectOption('in an hour');
    await page.getByRole('button', { name: 'Rotate', exact: true }).click();
    const secret = await secretField(page).inputValue();
    expect(secret).not.toBe(key);
    expect(await page.getByRole('dialog').innerText()).toMatch(/before is accepted until 20/);
    await poll(() => generateWith(server, secret)).toBe('answered');
    expect(await generateWith(server, key)).toBe('answered');
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByRole('button', { name: 'Close', exact: true }).last().click();
    await poll(() => rows(page)).toEqual([expect.stringContaining('the old secret until')]);
  });
});

describe('a secret that is shown stays', () => {
  const make = async (page: Page, name: string) => {
    await page.getByRole('button', { name: 'New key' }).click();
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByRole('button', { name: 'Create key' }).click();
  };

  test('when the browser goes back', async (context) => {
    const server = await startAdmin();
    const page = await openAdmin(context, server, 'targets');
    await goTo(page, 'keys');
    await make(page, 'bob');
    const secret = await secretField(page).inputValue();
    await page.goBack();
    await page.locator('.tab[aria-current="page"][href="#/admin/targets"]').waitFor();
    await poll(() => text(page)).toContain('demo');
    expect(await secretField(page).inputValue()).toBe(secret);
    await page.keyboard.press('Enter');
    await poll(() => page.getByRole('dialog').innerText()).toContain('Copied');
    await page.keyboard.press('Escape');
    await poll(() => page.getByRole('dialog').count()).toBe(0);
  });

  test('when the section is left while the key is being made', async (context) => {
    const server = await startAdmin();
    const page = await openAdmin(context, server, 'keys');
    const { held, letGo } = await holdRequests(page, 'POST');
    await make(page, 'bob');
    await held;
    await page.evaluate(() => {
      location.hash = '#/chat';
    });
    await page.locator('.composer-row').waitFor();
    letGo();
    await poll(() => secretField(page).inputValue()).toMatch(/^sk-llm-/);
  });

  test('when a change that was cancelled ends', async (context) => {
    const server = await startAdmin();
    await makeKey(server, { name: 'alice' });
    const page = await openAdmin(context, server, 'keys');
    const { held, letGo } = await holdRequests(page, 'PATCH');
    await page.getByRole('button', { name: 'alice' }).click();
    await page.getByRole('button', { name: 'Change …' }).click();
    await page.getByLabel('Team', { exact: true }).fill('red');
    await page.getByRole('button', { name: 'Save' }).click();
    await held;
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'New key' }).click();
    letGo();
    await poll(() => page.locator('.admin-said').innerText()).toBe('The key alice was changed.');
    expect(await page.getByRole('dialog').innerText()).toContain('New key');
  });
});

test('a key is changed: only what is different, and what the server refuses is said beside its field', async (context) => {
  const server = await startAdmin();
  await makeKey(server, { name: 'alice', team: 'red', limits: { tokens_per_day: 1000 } });
  await makeKey(server, { name: 'bob' });
  const page = await openAdmin(context, server, 'keys', { expects: [/409/] });
  await page.getByRole('button', { name: 'alice' }).click();
  await page.getByRole('button', { name: 'Change …' }).click();
  const name = page.getByLabel('Name', { exact: true });
  await name.fill('bob');
  await page.getByRole('button', { name: 'Save' }).click();
  await poll(() => name.getAttribute('aria-invalid')).toBe('true');
  await name.fill('alice-2');
  await page.getByLabel('Team', { exact: true }).fill('');
  await page.getByLabel('requests a minute').fill('7');
  await page.getByLabel('demo').check();
  await page.getByRole('button', { name: 'Save' }).click();
  await poll(() => rows(page)).toContainEqual(
    expect.stringMatching(/alice-2.*–.*7 requests a minute, 1,000 tokens in 24 h.*demo/s),
  );
});

test('one of those who wait or run is cancelled, and told so', async (context) => {
  const server = await startAdmin('--scheduler.queue-timeout-ms', '3600000');
  const held = await hold(server, 'runs-on');
  const page = await openAdmin(context, server, 'queue');
  await poll(() => rows(page)).toEqual([expect.stringMatching(/runs-on\s+127\.0\.0\.1/)]);
  await page.getByRole('button', { name: 'Cancel the request runs-on' }).click();
  await poll(() => focused(page)).toBe('Cancel it');
  await page.keyboard.press('Escape');
  await poll(() => focused(page)).toBe('Cancel the request runs-on');
  await page.keyboard.press('Enter');
  await poll(() => focused(page)).toBe('Cancel it');
  await page.keyboard.press('Enter');
  await held.until((whole) => whole.includes('cancelled_by_admin'));
  await poll(() => text(page)).toContain('The request runs-on of 127.0.0.1 was cancelled.');
  await poll(() => text(page)).toContain('Nothing runs.');
});

test('the audit log that stays open has every entry, however many are made meanwhile', async (context) => {
  const server = await startAdmin();
  await makeKey(server, { name: 'first' });
  const page = await openAdmin(context, server, 'audit');
  await poll(() => rows(page)).toHaveLength(1);
  for (let made = 0; made < 70; made += 1) await makeKey(server, { name: `key ${made}` });
  await poll(() => rows(page)).toHaveLength(71);
  expect((await rows(page)).at(-1)).toContain('first');
  expect(await page.getByRole('button', { name: 'Older entries' }).count()).toBe(0);
  await page.reload();
  await poll(() => rows(page)).toHaveLength(50);
  await press(page, 'Older entries');
  await poll(() => rows(page)).toHaveLength(71);
});

test('a request that moves up the queue keeps the focus and the question whether to cancel it', async (context) => {
  const server = await startServer({
    flags: [
      ...scriptedFlags({ target: { slots: 1, idle_timeout_ms: 3_600_000 } }),
      ...['--scheduler.queue-timeout-ms', '3600000'],
    ],
    endsWith: onTestFinished,
  });
  const first = await hold(server, 'runs-now');
  const waits = async (id: string) => {
    const answer = openAnswer(`${server.url}/stream`, {
      body: { prompt: scripted({ text: 'one two three', fail: 'hang-mid-stream', fail_after_tokens: 2 }) },
      headers: { 'x-request-id': id },
    });
    // One that is cancelled in the queue has an answer too.
    onTestFinished(() => void answer.then(({ leave }) => leave()));
    await poll(() => queueOf(server)).toContain(id);
  };
  await waits('waits-1');
  await waits('waits-2');
  await waits('waits-3');
  const page = await openAdmin(context, server, 'queue');
  await poll(() => rows(page)).toHaveLength(4);
  await press(page, 'Cancel the request waits-3');
  await poll(() => focused(page)).toBe('Cancel it');
  const cancel = (id: string) => ask(`${server.url}/admin/queue/${id}/cancel`, { body: {} });
  const idOf = async (request: string) =>
    (await queueEntries(server)).find(({ request_id }) => request_id === request)?.id ?? '';
  const leaves = async (request: string) => {
    expect((await cancel(await idOf(request))).status).toBe(200);
    await poll(() => text(page)).not.toContain(request);
  };
  await leaves('waits-1');
  expect(await focused(page)).toBe('Cancel it');
  await page.keyboard.press('Tab');
  expect(await focused(page)).toBe('Keep');
  await leaves('waits-2');
  expect(await focused(page)).toBe('Keep');
  // It has a slot now, and is in the other table.
  await first.leave();
  await poll(() => rows(page)).toEqual([expect.stringMatching(/slot 1.*waits-3/s)]);
  expect(await focused(page)).toBe('Cancel it');
  await page.keyboard.press('Enter');
  await poll(() => text(page)).toContain('Nothing runs.');
  expect(await focused(page)).toContain('Running');
});

test('usage that stays open over midnight is that of the new day', async (context) => {
  await farFromMidnight();
  const server = await startAdmin();
  const page = await openAdmin(context, server, 'usage', { hasClock: true });
  const asked: string[] = [];
  page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url());
    if (pathname === '/admin/usage') asked.push(searchParams.get('from') ?? '');
  });
  const day = () => page.evaluate(() => new Date().toISOString().slice(0, 10));
  await page.getByLabel('Over').selectOption('Today');
  const before = await day();
  await poll(async () => asked.at(-1)).toBe(`${before}T00:00:00.000Z`);
  expect(await text(page)).toContain(`${before} (UTC)`);
  await page.clock.fastForward('24:00:00');
  await poll(async () => asked.at(-1)).toBe(`${await day()}T00:00:00.000Z`);
  expect(await text(page)).toContain(`${await day()} (UTC)`);
  expect(await day()).not.toBe(before);
});

test('the configuration is filtered, its secrets are hidden, and a reload says what it changed', async (context) => {
  const server = await startAdmin('--auth.admin-keys', '["a-key-of-an-admin"]');
  const page = await openAdmin(context, server, 'configuration', { expects: [/401|422/] });
  await giveAdminKey(page);
  await page.getByLabel('Filter settings').fill('admin_keys');
  await poll(() => rows(page)).toEqual([expect.stringMatching(/auth\.admin_keys\s+hidden\s+flag/)]);
  expect(await page.content()).not.toContain(ADMIN_KEY);
  server.reconfigure({ configFile: 'scheduler: { max_queue: 17 }' });
  await page.getByLabel('Filter settings').fill('max_queue');
  await page.getByRole('button', { name: 'Reload' }).click();
  await poll(() => page.locator('.admin-outcome').innerText()).toMatch(/Changed[\s\S]*max_queue/);
  // Somebody else reloads it.
  server.reconfigure({ configFile: 'scheduler: { max_queue: 18 }' });
  const authorization = `Bearer ${ADMIN_KEY}`;
  expect(
    (await ask(`${server.url}/admin/reload`, { method: 'POST', headers: { authorization } })).status,
  ).toBe(200);
  await poll(() => rows(page)).toContainEqual(expect.stringMatching(/max_queue\s+18\s+file/));
});

test('Chat and Live load nothing of Admin; its code and styles come with it, the charts with Usage', async (context) => {
  const server = await startAdmin();
  const page = await openPage(context, `${server.url}/#/live`);
  const loaded = new Set<string>();
  page.on('request', (request) => loaded.add(new URL(request.url()).pathname.replace(/-\w+(?=\.)/, '')));
  const go = async (to: string, shows: string) => {
    await page.evaluate((hash) => {
      location.hash = hash;
    }, to);
    await page.locator(shows).first().waitFor();
  };
  await page.reload();
  await page.locator('.live-toolbar').waitFor();
  await go('#/chat', '.composer-row');
  expect([...loaded].filter((path) => /admin|usage/.test(path))).toEqual([]);
  await go('#/admin/keys', '.admin-empty');
  expect([...loaded].filter((path) => /assets.*(admin|usage)/.test(path)).sort()).toEqual([
    '/assets/admin-view.js',
    '/assets/admin.css',
  ]);
  await go('#/admin/usage', '#admin-usage');
  expect([...loaded]).toContain('/assets/usage-section.js');
});

test('of many keys, one page is asked for and shown at a time, of those that fit', async (context) => {
  const server = await startAdmin();
  for (let made = 1; made <= 203; made += 1)
    await makeKey(server, { name: `key-${made}`, team: made > 200 ? 'red' : 'blue' });
  const page = await openAdmin(context, server, 'keys');
  const [back, forth] = ['Previous keys', 'Next keys'].map((name) => page.getByRole('button', { name }));
  await poll(() => text(page)).toContain(
    'Keys 1 to 200, in the order in which they were made; there are more',
  );
  expect(await rows(page)).toHaveLength(200);
  expect(await back?.isDisabled()).toBe(true);
  await forth?.click();
  await poll(() => text(page)).toContain(
    'Keys 201 to 203, in the order in which they were made; these are the last',
  );
  expect((await rows(page)).map((row) => /key-\d+/.exec(row)?.[0])).toEqual([
    'key-201',
    'key-202',
    'key-203',
  ]);
  expect(await forth?.isDisabled()).toBe(true);
  expect(await seriousProblems(page)).toEqual([]);
  await back?.click();
  await poll(() => text(page)).toContain('Keys 1 to 200');

  const asked = page.waitForRequest((request) => request.url().includes('filter='));
  await page.getByLabel('Filter keys').pressSequentially('RED key-20');
  expect(new URL((await asked).url()).search).toBe('?limit=200&filter=RED+key-20&revoked=false');
  await poll(() => text(page)).toContain('3 keys.');
  expect(await page.getByRole('button', { name: 'Next keys' }).count()).toBe(0);
  await page.getByLabel('Filter keys').fill('none of them');
  await poll(() => text(page)).toContain('No key fits the filter.');
});

describe('who may see it', () => {
  test('with admin keys, the page asks for one; cancelled it says what is missing', async (context) => {
    const server = await startAdmin(...ADMINS);
    const page = await openAdmin(context, server, 'keys', { expects: [/401/] });
    await page.getByRole('dialog').waitFor();
    await poll(() => focused(page)).toBe('Admin key');
    await page.keyboard.press('Escape');
    await poll(() => text(page)).toContain('You may not see this');
    await page.getByRole('button', { name: 'Enter an admin key' }).click();
    await giveAdminKey(page);
    await poll(() => text(page)).toContain('There is no key yet');
  });

  test('where administration has a port of its own, the page says so', async (context) => {
    const server = await startAdmin('--admin.port', '0');
    const page = await openAdmin(context, server, 'keys', { expects: [/404/] });
    await poll(() => text(page)).toContain('Administration is not served at this address');
    expect(await text(page)).toContain('admin.port');
  });
});

describe('when something is gone', () => {
  test('a database that can’t be reached is said, and read again when it is back', async (context) => {
    const server = await startAdmin();
    await makeKey(server, { name: 'alice' });
    const page = await openAdmin(context, server, 'targets', { expects: [/503/] });
    // As the server answers it (test/end-to-end): a store in memory has no faults.
    const error = { code: 'store_unavailable', message: 'The database of keys can’t be reached.' };
    const list = (url: URL) => url.pathname === '/admin/keys';
    await page.route(list, (route) => route.fulfill({ status: 503, json: { error } }));
    await page.getByRole('link', { name: 'Keys' }).click();
    await poll(() => page.getByRole('alert').innerText()).toContain('The database can’t be reached.');
    await page.unroute(list);
    await poll(() => rows(page)).toEqual([expect.stringContaining('alice')]);
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  test('a server that is gone leaves what was read, with words above it', async (context) => {
    const server = await startAdmin();
    const page = await openAdmin(context, server, 'targets', { expects: CONNECTION_ERRORS });
    await poll(() => rows(page)).toHaveLength(1);
    await server.drain();
    await poll(() => page.getByRole('alert').allInnerTexts()).toEqual([
      expect.stringContaining('The server does not answer'),
    ]);
    expect(await rows(page)).toHaveLength(1);
  });
});

describe.each(['dark', 'light'] as const)('in the %s theme', (colorScheme) => {
  for (const isPhone of [false, true])
    test(`axe finds nothing serious ${isPhone ? 'on a phone' : 'on a screen'}`, async (context) => {
      const server = await startAdmin();
      const { key } = await makeKey(server, {
        name: 'alice',
        team: 'red',
        limits: { requests_per_minute: 5 },
      });
      await makeKey(server, { name: 'bob', expires_in: 5_000, labels: { owner: 'b' } });
      await poll(() => generateWith(server, key)).toBe('answered');
      const page = await openAdmin(context, server, 'keys', {
        colorScheme,
        isPhone,
        reducedMotion: 'reduce',
      });
      for (const section of SECTIONS) {
        await page.evaluate((name) => {
          location.hash = `#/admin/${name}`;
        }, section);
        await page.locator(`[aria-current="page"][href="#/admin/${section}"]`).waitFor();
        await poll(() => page.locator('.admin .notice').count()).toBe(0);
        expect([section, await seriousProblems(page)]).toEqual([section, []]);
        const width = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
        expect(width[0], section).toBeLessThanOrEqual(width[1] ?? 0);
      }
      await page.getByRole('link', { name: 'Keys' }).click();
      await page.getByRole('button', { name: 'alice' }).click();
      await page.locator('.dialog .admin-bars').waitFor();
      expect(await seriousProblems(page)).toEqual([]);
      await page.getByRole('button', { name: 'Change …' }).click();
      expect(await seriousProblems(page)).toEqual([]);
    });
});

async function giveAdminKey(page: Page): Promise<void> {
  await page.getByLabel('Admin key').fill(ADMIN_KEY);
  await page.getByRole('button', { name: 'Use keys' }).click();
}

async function queueEntries(server: { readonly url: string }) {
  const { json } = await ask(`${server.url}/admin/queue`);
  const { waiting, running } = json() as Static<typeof QueueAnswer>;
  return [...running, ...waiting];
}

async function queueOf(server: { readonly url: string }): Promise<readonly string[]> {
  return (await queueEntries(server)).map(({ request_id }) => request_id);
}

/** Requests for keys, of this method, wait until they are let go. */
async function holdRequests(page: Page, method: string) {
  let letGo = () => {};
  const going = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const held = page.waitForRequest((request) => request.method() === method);
  await page.route(/admin.keys/, async (route) => {
    if (route.request().method() === method) await going;
    await route.continue();
  });
  return { held, letGo };
}

/** Every string that the page still holds, after a collection of its garbage. */
async function heapOf(page: Page): Promise<string> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.enable');
  await session.send('HeapProfiler.collectGarbage');
  const pieces: string[] = [];
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => pieces.push(chunk));
  await session.send('HeapProfiler.takeHeapSnapshot', {});
  await session.detach();
  return pieces.join('');
}
