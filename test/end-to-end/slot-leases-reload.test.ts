/** A reload that replaces a target of which other servers know: what still runs at the one before is of the same slots. */
import { expect, onTestFinished, test } from 'vitest';
import { startCountingUpstream } from '../support/counting-upstream.ts';
import { ask } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { startServer } from '../support/server.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';

test('a target with another key of its server never runs more than it has, with what runs there already', async (context) => {
  context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY);
  const valkey = await startValkey({ endsWith: onTestFinished });
  const upstream = await startCountingUpstream(onTestFinished);
  const configFile = (key: string) => `
models:
  - id: m
    targets:
      - { backend: openai-compatible, name: t, url: "${upstream.url}", model: m, slots: 4, api_key: ${key} }
retry: { attempts: 1 }
`;
  const server = await startServer({
    flags: ['--leases.store', valkey.address, '--scheduler.queue-timeout-ms', '120000'],
    configFile: configFile('before'),
    endsWith: onTestFinished,
  });
  await whenReady(server);
  const askFor = (milliseconds: number) =>
    ask(`${server.url}/v1/chat/completions`, {
      body: { model: 'm', messages: [{ role: 'user', content: `take ${milliseconds} ms` }] },
    });
  const running = Array.from({ length: 3 }, () => askFor(4000));
  await expect.poll(() => upstream.running('before')).toBe(3);
  server.reconfigure({ configFile: configFile('after') });
  expect((await ask(`${server.url}/admin/reload`, { method: 'POST' })).status).toBe(200);
  const more = Array.from({ length: 8 }, () => askFor(200));
  for (const answer of await Promise.all([...running, ...more])) expect(answer.status).toBe(200);
  expect(upstream.came('after')).toBe(8);
  await expect.poll(() => upstream.most()).toBeGreaterThanOrEqual(4);
  expect(upstream.takeMost()).toBe(4);
});
