/** What can go wrong around the Chat view, and how a person gets on: no key, no models, a proxy without its server, other models. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { OTHER_MACHINE, openPage } from '../support/browser.ts';
import { startExecutable } from '../support/executable.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';
import { answersOf, messageBox, modelPicker, openChat, say } from './chat-page.ts';

const KEY = 'a-key-for-this-test';

test('who gives no key is told what is missing, and may give one later', async (context) => {
  const server = await startServer({
    flags: scriptedFlags(),
    environment: { LLM_SERVE_AUTH__API_KEYS: JSON.stringify([KEY]) },
    endsWith: onTestFinished,
  });
  const page = await openPage(context, `${server.url}/`, { expects: [/Failed to load resource.*401/] });
  // The dialog begins in the field.
  await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute('type'))).toBe('password');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('alert').getByText('The models could not be read.').waitFor();
  expect(await page.locator('.empty').textContent()).not.toContain('--model');
  await page.getByRole('button', { name: 'Enter a key' }).click();
  await page.getByLabel('API key', { exact: true }).fill(KEY);
  // A press inside that ends outside closes nothing.
  await page.getByLabel('API key', { exact: true }).hover();
  await page.mouse.down();
  await page.mouse.move(5, 5);
  await page.mouse.up();
  await page.getByRole('button', { name: 'Use keys' }).click();
  await say(page, 'one two');
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  expect(await page.getByRole('alert').count()).toBe(0);
  await page.getByRole('button', { name: 'Keys: set' }).click();
  await page.getByRole('button', { name: 'Forget keys' }).click();
  expect(await page.evaluate(() => JSON.stringify(sessionStorage))).not.toContain(KEY);
  await page
    .getByText('The server wants a key')
    .or(page.getByLabel('API key', { exact: true }))
    .waitFor();
});

test('from another machine over plain HTTP, where browsers have less, one chats and copies', async (context) => {
  const server = await startServer({
    flags: scriptedFlags(),
    environment: { LLM_SERVE_AUTH__API_KEYS: JSON.stringify([KEY]) },
    endsWith: onTestFinished,
  });
  const page = await openPage(context, `http://${OTHER_MACHINE}:${server.port}/`, {
    // Over plain HTTP the browser says that it does without that header.
    expects: [/Failed to load resource.*401/, /Cross-Origin-Opener-Policy header has been ignored/],
  });
  await page.getByLabel('API key', { exact: true }).fill(KEY);
  await page.getByRole('button', { name: 'Use keys' }).click();
  expect(await page.evaluate(() => window.isSecureContext)).toBe(false);
  await say(page, scripted({ text: 'From afar.' }));
  await answersOf(page).getByText('From afar.').waitFor();
  await answersOf(page).getByLabel('Copy answer').click();
  await answersOf(page).getByLabel('Copied').waitFor();
});

test('models that could not be read are read again when the person asks for it', async (context) => {
  const server = await startServer({ flags: scriptedFlags(), endsWith: onTestFinished });
  const page = await openPage(context, `${server.url}/health`, { expects: [/Failed to load resource.*429/] });
  let refuses = true;
  await page.route('**/v1/models', (route) =>
    refuses
      ? route.fulfill({
          status: 429,
          json: { error: { code: 'rate_limited', message: 'Too many requests from this address.' } },
        })
      : route.continue(),
  );
  await page.goto(`${server.url}/`);
  await page.getByRole('alert').getByText('Too many requests from this address.').waitFor();
  refuses = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect.poll(() => modelPicker(page).inputValue()).toBe('demo');
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('a model that only makes vectors is not chosen first, and not asked', async (context) => {
  const server = await startServer({
    flags: scriptedFlags({ id: 'vectors' }, { id: 'talks' }),
    endsWith: onTestFinished,
  });
  const page = await openPage(context, `${server.url}/health`);
  await page.route('**/api/show', (route) =>
    route.request().postDataJSON().model === 'vectors'
      ? route.fulfill({ json: { capabilities: ['embedding'] } })
      : route.continue(),
  );
  await page.goto(`${server.url}/`);
  await expect.poll(() => modelPicker(page).inputValue()).toBe('talks');
  await modelPicker(page).selectOption('vectors');
  await page.getByText('vectors makes vectors and does not answer. Choose another model.').waitFor();
  await messageBox(page).fill('hi');
  expect(await page.getByLabel('Send', { exact: true }).isDisabled()).toBe(true);
});

test('behind a proxy a server that goes and comes back with other models is missed, waited for, and used', async (context) => {
  const flags = (id: string) => scriptedFlags({ id });
  const first = await startExecutable({ flags: flags('first'), endsWith: onTestFinished });
  const proxy = await startProxy(first.port);
  const page = await openPage(context, proxy.url, { expects: [/Failed to load resource|ERR_INCOMPLETE/] });
  await say(page, scripted({ text: 'From the first.' }));
  await answersOf(page).getByText('From the first.').waitFor();
  await first.stop('SIGKILL');
  await say(page, scripted({ text: 'From the second.' }));
  await page.getByRole('alert').getByText('The server does not answer.').waitFor();
  await answersOf(page).getByText('Is it running?').waitFor();
  await startExecutable({
    flags: [...flags('second'), '--port', String(first.port)],
    endsWith: onTestFinished,
  });
  await page.getByText('first is not served here. second answers from now on.').waitFor();
  expect(await modelPicker(page).inputValue()).toBe('second');
  await answersOf(page).last().getByText('Choose another model.').waitFor();
  await answersOf(page).last().getByLabel('Regenerate answer').click();
  await answersOf(page).getByText('From the second.').waitFor();
  expect(await answersOf(page).last().locator('.who').textContent()).toBe('second');
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('a proxy that lets nothing but /health through is not asked for ever', async (context) => {
  const { page } = await openChat(context, { expects: [/Failed to load resource.*502/] });
  let asked = 0;
  await page.route('**/v1/chat/completions', (route) => {
    asked += 1;
    return route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>502 Bad Gateway</h1>' });
  });
  await say(page, 'hi');
  await answersOf(page).getByText('a proxy before it answered this request with 502').waitFor();
  expect(asked).toBe(2);
});

test('a question that a proxy gave up waiting for is not asked twice', async (context) => {
  const { page } = await openChat(context, { expects: [/Failed to load resource.*504/] });
  let asked = 0;
  await page.route('**/v1/chat/completions', (route) => {
    asked += 1;
    return route.fulfill({ status: 504, contentType: 'text/html', body: '<h1>504 Gateway Time-out</h1>' });
  });
  await say(page, 'hi');
  await answersOf(page).getByText('waited no longer for its answer (504)').waitFor();
  await answersOf(page).getByLabel('Regenerate answer').waitFor();
  expect(asked).toBe(1);
});

test('a server that freezes and thaws again is found again, and gets the question', async (context) => {
  const { page } = await openChat(context, { expects: [/Failed to load resource/] });
  await page.clock.install();
  await page.waitForFunction(() => document.querySelector<HTMLSelectElement>('.model-picker select')?.value);
  let frozen = 0;
  await page.route('**/v1/chat/completions', (route) => (frozen > 0 ? route.continue() : route.abort()));
  // The first is never answered.
  await page.route('**/health', (route) => {
    frozen += 1;
    return frozen === 1 ? undefined : route.continue();
  });
  await say(page, scripted({ text: 'Thawed.' }));
  await expect.poll(() => frozen).toBe(1);
  await page.clock.fastForward(5_000);
  await page.getByRole('alert').getByText('The server does not answer.').waitFor();
  await page.clock.fastForward(400);
  await answersOf(page).getByText('Thawed.').waitFor();
  await expect.poll(() => page.getByRole('alert').count()).toBe(0);
});

test('an answer that is silent for long goes on while the server is there, and ends when it is not', async (context) => {
  const { page } = await openChat(context, { expects: [/Failed to load resource/] });
  await page.clock.install();
  let isThere = true;
  let probes = 0;
  await page.route('**/health', (route) => {
    probes += 1;
    return isThere ? route.continue() : route.abort();
  });
  // Never answered.
  await page.route('**/v1/chat/completions', () => undefined);
  await say(page, 'think');
  await answersOf(page).locator('.waiting').waitFor();
  for (const times of [1, 2, 3]) {
    await page.clock.fastForward(15_000);
    await expect.poll(() => probes).toBe(times);
  }
  expect(await answersOf(page).locator('.failure').count()).toBe(0);
  isThere = false;
  for (const times of [4, 5]) {
    await page.clock.fastForward(15_000);
    await expect.poll(() => probes).toBeGreaterThanOrEqual(times);
  }
  await answersOf(page).getByText('The connection was lost').waitFor();
  isThere = true;
});

/** As the usual ones: where no server is, it answers with a page. */
async function startProxy(port: number): Promise<{ readonly url: string }> {
  const proxy = createServer((incoming, answer) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path: incoming.url, method: incoming.method, headers: incoming.headers },
      (upstream) => {
        answer.writeHead(upstream.statusCode ?? 502, upstream.headers);
        upstream.pipe(answer);
      },
    );
    outgoing.on('error', () => {
      if (answer.headersSent) answer.destroy();
      else answer.writeHead(502, { 'content-type': 'text/html' }).end('<h1>502 Bad Gateway</h1>');
    });
    incoming.pipe(outgoing);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/` };
}
