/** Usage over the life of processes: what is in the store after a clean stop, after a kill, and after instances were replaced. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ShownUsage } from '../../src/usage/usage-report.ts';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { ask, metric } from '../support/http-client.ts';
import { KeptConnections } from '../support/kept-connections.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { TcpBalancer } from '../support/tcp-balancer.ts';

/** The flags of a database of its own. */
function storeFlags(): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-usage-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return ['--access.store', `sqlite:${join(folder, 'store.sqlite')}`];
}

async function command(args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runExecutable(args, { endsWith: onTestFinished });
  expect([exitCode, stderr.includes('llm-serve:')], stderr).toEqual([0, false]);
  return stdout;
}

async function usage(store: readonly string[], ...args: readonly string[]): Promise<readonly ShownUsage[]> {
  return JSON.parse(await command(['usage', '--json', ...args, ...store])) as ShownUsage[];
}

const start = (flags: readonly string[]) =>
  startExecutable({ flags: [...scriptedFlags(), ...flags], endsWith: onTestFinished });

const BODY = { prompt: scripted({ tokens: 5 }), max_tokens: 5 };

async function askTimes(server: Executable, count: number, headers: Readonly<Record<string, string>> = {}) {
  const answers = await Promise.all(
    Array.from({ length: count }, () => ask(`${server.url}/generate`, { body: BODY, headers })),
  );
  for (const { status } of answers) expect(status).toBe(200);
  return answers;
}

test('a clean stop loses nothing: two teams, their keys, tokens and money', async () => {
  const store = storeFlags();
  const keyOf = async (name: string, team: string): Promise<string> => {
    const made = await command(['keys', 'create', '--name', name, '--team', team, '--json', ...store]);
    return (JSON.parse(made) as { key: string }).key;
  };
  const alice = await keyOf('alice', 'red');
  const bob = await keyOf('bob', 'blue');
  const prices = ['--prices.models', '{"demo":{"prompt":1,"completion":2}}', '--prices.currency', 'EUR'];
  // What comes after the first write waits for the end.
  const server = await start([...store, ...prices, '--usage.flush-seconds', '3600']);
  const [first] = await askTimes(server, 1, { 'x-api-key': alice });
  await askTimes(server, 11, { 'x-api-key': alice });
  await askTimes(server, 8, { 'x-api-key': bob });
  expect((await server.stop()).exitCode).toBe(0);
  const prompt = first?.json().usage.prompt_tokens ?? 0;
  expect(prompt).toBeGreaterThan(0);
  expect(await usage(store, '--by', 'key,team,model')).toMatchObject([
    {
      key: 'alice',
      team: 'red',
      model: 'demo',
      requests: 12,
      completion_tokens: 60,
      prompt_tokens: 12 * prompt,
    },
    { key: 'bob', team: 'blue', requests: 8, completion_tokens: 40, errors: 0, rejections: 0 },
  ]);
  const [red] = await usage(store, '--by', 'team', '--team', 'red');
  expect(red?.cost).toBeCloseTo((12 * (prompt + 5 * 2)) / 1e6, 9);
  expect(await command(['usage', '--by', 'key', ...store, '--since', '24h'])).toMatch(/^KEY .*\nalice +12 /);
  expect(await command(['usage', '--by', 'key', '--csv', ...store])).toMatch(
    /^key,key_id,requests.*\r\nalice,key_/,
  );
});

test('what was written is there after a kill', async () => {
  const store = storeFlags();
  const server = await start(store);
  const answers = await askTimes(server, 30);
  for (const { headers } of answers) await server.requestLine(String(headers['x-request-id']));
  await expect.poll(() => metric(server, 'llm_serve_usage_rows_unwritten')).toBe(0);
  await server.stop('SIGKILL');
  expect(await usage(store)).toMatchObject([{ key: null, requests: 30, completion_tokens: 150 }]);
});

test('a rolling restart loses no row: each answer that clients have is counted, once', async () => {
  const store = storeFlags();
  const balancer = await TcpBalancer.listen(onTestFinished);
  const startBehind = async () => {
    const server = await start([...store, '--server.shutdown-delay-seconds', '5']);
    balancer.add(server.port);
    await expect.poll(() => balancer.isReady(server.port), { timeout: 120_000 }).toBe(true);
    return server;
  };
  let instances = [await startBehind(), await startBehind()];
  const load = new KeptConnections(balancer.port);
  onTestFinished(() => load.close());
  const clients = Array.from({ length: 8 }, (_, client) => load.run(client));
  const replaced = async (old: Executable) => {
    const fresh = await startBehind();
    await load.afterMore(40);
    expect((await old.stop()).exitCode).toBe(0);
    balancer.remove(old.port);
    return fresh;
  };
  instances = [await replaced(instances[0] as Executable), await replaced(instances[1] as Executable)];
  await load.afterMore(40);
  load.stop();
  await Promise.all(clients);
  for (const instance of instances) expect((await instance.stop()).exitCode).toBe(0);
  expect(load.failures).toEqual([]);
  expect(await usage(store, '--by', 'model')).toMatchObject([
    { model: 'demo', requests: load.answered, errors: 0 },
  ]);
});

test('a store that is gone keeps no request and no stop from its end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-usage-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const server = await start(['--access.store', `sqlite:${join(folder, 'store.sqlite')}`]);
  await askTimes(server, 3);
  rmSync(folder, { recursive: true, force: true });
  await askTimes(server, 20);
  expect((await server.stop()).exitCode).toBe(0);
});

test('wrong words are wrong usage', async () => {
  const store = storeFlags();
  const wrong = async (...args: string[]) => {
    const { exitCode, stderr } = await runExecutable(['usage', ...args, ...store], {
      endsWith: onTestFinished,
    });
    return [exitCode, stderr];
  };
  expect(await wrong('--by', 'user')).toEqual([
    2,
    expect.stringContaining('--by has "user", but may have key,'),
  ]);
  expect(await wrong('--since', 'yesterday')).toEqual([2, expect.stringContaining('--since is "yesterday"')]);
  expect(await wrong('--json', '--csv')).toEqual([2, expect.stringContaining('exclude one another')]);
});
