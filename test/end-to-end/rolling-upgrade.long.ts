/** Instances of the version before are replaced by this one, one after the other, under load and over the same stores. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { LeaseState } from '../../src/serving/lease-state.ts';
import type { ShownUsage } from '../../src/usage/usage-report.ts';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { ask, metric } from '../support/http-client.ts';
import { KeptConnections } from '../support/kept-connections.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { TcpBalancer } from '../support/tcp-balancer.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';
import { buildVersionBefore, MISSING_VERSION_BEFORE } from '../support/version-before.ts';

const CLIENTS = 8;
const ANSWERS = 400;
const LIMIT = 1_000_000;

test('no request fails, no usage is lost, and limits go on', async (context) => {
  const missing = MISSING_VALKEY ?? MISSING_VERSION_BEFORE;
  context.skip(missing !== undefined, missing);
  const before = buildVersionBefore(onTestFinished);
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-upgrade-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const valkey = await startValkey({ endsWith: onTestFinished });
  const behind = await startExecutable({
    flags: scriptedFlags({ target: { slots: 64 } }),
    endsWith: onTestFinished,
  });
  const target = { backend: 'openai-compatible', url: `${behind.url}/v1`, model: 'demo', slots: 64 };
  const store = ['--access.store', `sqlite:${join(folder, 'store.sqlite')}`];
  const flags = [
    ...['--models', JSON.stringify([{ id: 'demo', targets: [target] }]), '--rate-limit.enabled', 'false'],
    ...['--resume', 'off'],
    ...store,
    ...['--limits.store', valkey.address, '--limits.timeout-ms', '5000'],
    ...['--server.shutdown-delay-seconds', '2'],
  ];
  const made = await runExecutable(
    ['keys', 'create', '--name', 'red', '--requests-per-day', String(LIMIT), '--json', ...store],
    { program: before, endsWith: onTestFinished },
  );
  expect(made).toMatchObject({ exitCode: 0 });
  const { key } = JSON.parse(made.stdout) as { readonly key: string };
  const headers = { authorization: `Bearer ${key}` };

  const balancer = await TcpBalancer.listen(onTestFinished);
  const start = async (program?: string): Promise<Executable> => {
    // Those of the version before count the target's slots for themselves.
    const leased = program === undefined ? ['--leases.store', valkey.address] : [];
    const server = await startExecutable({
      flags: [...flags, ...leased],
      endsWith: onTestFinished,
      ...(program && { program }),
    });
    balancer.add(server.port);
    await expect.poll(() => balancer.isReady(server.port)).toBe(true);
    return server;
  };
  const old = [await start(before), await start(before)];
  const load = new KeptConnections(balancer.port, headers);
  onTestFinished(() => load.close());
  const clients = Array.from({ length: CLIENTS }, (_, client) => load.run(client));
  await load.afterMore(ANSWERS / 4);
  const fresh: Executable[] = [];
  for (const server of old) {
    fresh.push(await start());
    await load.afterMore(ANSWERS / 4);
    expect((await server.stop()).exitCode).toBe(0);
    balancer.remove(server.port);
  }
  await load.reached(ANSWERS);
  load.stop();
  await Promise.all(clients);
  expect(load.failures).toEqual([]);

  const last = await ask(`http://127.0.0.1:${balancer.port}/generate`, {
    headers,
    body: { prompt: scripted({ tokens: 1 }) },
  });
  for (const server of fresh) {
    const { slot_leases } = (await ask(`${server.url}/ready`)).json<{ slot_leases: LeaseState }>();
    expect(slot_leases).toMatchObject({ store: 'up', targets: [{ basis: 'lease', replicas: 2 }] });
    expect(await metric(server, 'llm_serve_slot_lease_over_admissions_total')).toBe(0);
  }
  const asked = load.answered + 1;
  expect(Number(last.headers['x-ratelimit-remaining'])).toBe(LIMIT - asked);
  for (const server of fresh) expect((await server.stop()).exitCode).toBe(0);
  const { stdout } = await runExecutable(['usage', '--json', ...store], { endsWith: onTestFinished });
  const rows = JSON.parse(stdout) as readonly ShownUsage[];
  expect(rows.reduce((sum, { requests }) => sum + requests, 0)).toBe(asked);
});
