/** The harness of the browser tests sees what a page must not do. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openPage } from '../support/browser.ts';

async function served(html: string, policy: string): Promise<string> {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy }).end(html);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test('a page that does nothing wrong passes', async (context) => {
  const page = await openPage(context, await served('<title>fine</title>', "img-src 'none'"));
  expect(await page.title()).toBe('fine');
});

test('errors, violations of the policy and requests to other servers are noticed', async (context) => {
  const problems: string[] = [];
  const html = `<link rel="icon" href="data:,"><script>
    console.error('said'); setTimeout(() => { throw new Error('thrown'); });
    fetch('http://other.example/').catch(() => {}); eval('1')
  </script>`;
  const policy = "script-src 'unsafe-inline'; connect-src *";
  await openPage(context, await served(html, policy), { collects: problems });
  for (const expected of [
    /^console: said/,
    /^uncaught: .*thrown/s,
    /^request to another server: http:..other/,
  ])
    await expect.poll(() => problems).toContainEqual(expect.stringMatching(expected));
  await expect
    .poll(() => problems)
    .toContainEqual(expect.stringMatching(/^content security policy: script-src/));
});
