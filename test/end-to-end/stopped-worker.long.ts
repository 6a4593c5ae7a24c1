/** A worker that is stopped: its slots stay its own until it is killed after 30 s; then they are free, and both serve again. */
import { expect, onTestFinished, test } from 'vitest';
import { startExecutable } from '../support/executable.ts';
import { generate, metric, openAnswer } from '../support/http-client.ts';
import { childrenOf } from '../support/process-table.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

test('a worker that is stopped is replaced after half a minute, its slots are free then, and what waited for them is served', async () => {
  const server = await startExecutable({
    flags: [
      ...scriptedFlags({ target: { slots: 4, idle_timeout_ms: 3_600_000 } }),
      ...['--server.workers', '2', '--server.heartbeat-seconds', '0.2'],
    ],
    endsWith: onTestFinished,
  });
  // Two at each worker hold all slots; the first heartbeat begins the answer.
  const held = [];
  for (const id of ['a', 'b', 'c', 'd'])
    held.push(
      await openAnswer(`${server.url}/stream`, {
        body: { prompt: scripted({ fail: 'hang' }) },
        headers: { 'x-request-id': id },
      }),
    );
  for (const { whole } of held) whole.catch(() => {});
  await expect.poll(() => metric(server, 'llm_serve_slots_used')).toBe(4);
  const workers = childrenOf(server.pid).filter(({ command }) => command.includes('worker.js'));
  const [stopped = 0] = workers.map(({ pid }) => pid).sort((one, other) => one - other);
  process.kill(stopped, 'SIGSTOP');
  // The stopped one may have been handed some of them before that was noticed; they are handed on.
  const waiting = [1, 2, 3, 4].map(() => generate(server, { prompt: 'hi' }));
  await server.logged(({ msg }) => msg.endsWith('it did not answer for 30 s. Another one is started.'));
  for (const { status } of await Promise.all(waiting)) expect(status).toBe(200);
  await server.logged(({ msg }) => msg.endsWith('serves again'));
  await expect.poll(() => metric(server, 'llm_serve_slots_used')).toBe(2);
  for (const { leave } of held) leave();
}, 180_000);
