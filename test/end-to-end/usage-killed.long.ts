/** What a kill loses of usage, measured: under load, at an arbitrary moment, with the default settings. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ShownUsage } from '../../src/usage/usage-report.ts';
import { runExecutable, startExecutable } from '../support/executable.ts';
import { ask } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

const CLIENTS = 4;
const ROUNDS = 5;

test('a kill loses no answer that is older than a second', async () => {
  const lostMs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) lostMs.push(await lostByKill(1500 + round * 137));
  process.stdout.write(`usage lost by a kill, of the last: ${lostMs.map(Math.round).join(', ')} ms\n`);
  expect(Math.max(...lostMs)).toBeLessThan(1000);
});

/** How old the oldest answer was that is not in the store, if the newest ones are those that are missing. */
async function lostByKill(afterMs: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-usage-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = ['--access.store', `sqlite:${join(folder, 'store.sqlite')}`];
  const server = await startExecutable({ flags: [...scriptedFlags(), ...store], endsWith: onTestFinished });
  const answeredAt: number[] = [];
  const begun = performance.now();
  const client = async () => {
    for (;;) {
      const answer = await ask(`${server.url}/generate`, {
        body: { prompt: scripted({ tokens: 2 }), max_tokens: 2 },
      }).catch(() => undefined);
      if (answer === undefined) return;
      answeredAt.push(performance.now());
    }
  };
  const clients = Array.from({ length: CLIENTS }, client);
  await new Promise((resolve) => setTimeout(resolve, afterMs - (performance.now() - begun)));
  const killedAt = performance.now();
  await server.stop('SIGKILL');
  await Promise.all(clients);
  const { stdout } = await runExecutable(['usage', '--json', ...store], { endsWith: onTestFinished });
  const kept = (JSON.parse(stdout) as readonly ShownUsage[]).reduce((sum, { requests }) => sum + requests, 0);
  const oldestLost = answeredAt.sort((one, other) => one - other)[kept];
  return oldestLost === undefined ? 0 : Math.max(0, killedAt - oldestLost);
}
