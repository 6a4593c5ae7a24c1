/** The figure of docs/how-to/change-a-running-server.md: broken streams of 500 that are open while the configuration changes 40 times. */
import { expect, onTestFinished, test } from 'vitest';
import { metric } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { storm, stormConfig } from '../support/reload-storm.ts';
import { startServer } from '../support/server.ts';

test('0 of 500 open streams break while targets are added, removed and replaced', async () => {
  const server = await startServer({ configFile: stormConfig(0), endsWith: onTestFinished });
  await whenReady(server);
  const { broken, stillOpen } = await storm(server, { streams: 500, reloads: 40, tokens: 60, paceMs: 300 });
  process.stdout.write(
    `${broken.length} of 500 streams broken; ${stillOpen} were open after the last of 40 reloads\n`,
  );
  expect(broken).toEqual([]);
  expect(stillOpen).toBe(500);
  await expect.poll(() => metric(server, 'llm_serve_requests_running')).toBe(0);
});
