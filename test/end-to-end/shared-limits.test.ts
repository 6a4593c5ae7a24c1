/** Servers in processes of their own that share their limits in a real Valkey or Redis. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { metric } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';

const LIMIT = 6;

const flagsFor = (store: string, ...more: readonly string[]) => [
  ...scriptedFlags(),
  ...['--rate-limit.enabled', 'true', '--rate-limit.requests', String(LIMIT)],
  ...['--rate-limit.window-seconds', '3600'],
  // A busy machine is no failure.
  ...['--limits.store', store, '--limits.timeout-ms', '10000', ...more],
];

async function generate(server: Executable): Promise<Response> {
  const answer = await fetch(`${server.url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: scripted({ text: 'ok' }) }),
  });
  await answer.clone().text();
  return answer;
}

/** Its status, and what it says remains. */
async function ask(server: Executable): Promise<readonly [status: number, remaining: string | null]> {
  const { status, headers } = await generate(server);
  return [status, headers.get('x-ratelimit-remaining')];
}

/** Its status, and how the limits are shared. */
async function shownBy(server: Executable, path: string): Promise<readonly [number, unknown]> {
  const answer = await fetch(`${server.url}${path}`, { headers: { accept: 'application/json' } });
  return [answer.status, ((await answer.json()) as { shared_limits?: unknown }).shared_limits];
}

describe('two servers with one limit store', () => {
  beforeEach((context) => context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY));

  it('share a limit, which a restart of one after the other does not forget', async () => {
    const valkey = await startValkey({ endsWith: onTestFinished });
    const start = () => startExecutable({ flags: flagsFor(valkey.address), endsWith: onTestFinished });
    const [first, second] = await Promise.all([start(), start()]);
    expect(await ask(first)).toEqual([200, '5']);
    expect(await ask(second)).toEqual([200, '4']);
    expect(await ask(first)).toEqual([200, '3']);
    expect((await first.stop()).exitCode).toBe(0);
    const firstAgain = await start();
    expect(await ask(firstAgain)).toEqual([200, '2']);
    expect((await second.stop()).exitCode).toBe(0);
    const secondAgain = await start();
    expect(await ask(secondAgain)).toEqual([200, '1']);
    expect(await ask(firstAgain)).toEqual([200, '0']);
    for (const server of [firstAgain, secondAgain]) expect(await ask(server)).toEqual([429, '0']);
    expect(await metric(firstAgain, 'llm_serve_limit_store_up', '')).toBe(1);
    const up = { store: 'up', on_failure: 'local', replicas: 2 };
    for (const path of ['/ready', '/live'])
      await expect.poll(() => shownBy(firstAgain, path)).toEqual([200, up]);
  });

  it('that is gone: each admits its share, or all refuse with 503, and the log and metrics say so', async () => {
    const valkey = await startValkey({ endsWith: onTestFinished });
    const start = (...more: readonly string[]) =>
      startExecutable({ flags: flagsFor(valkey.address, ...more), endsWith: onTestFinished });
    const local = await start();
    const closed = await start('--limits.on-failure', 'closed');
    await expect.poll(() => metric(local, 'llm_serve_limit_store_replicas', '')).toBe(2);
    await valkey.kill();
    await local.logged(({ msg }) => msg.includes("can't be used"));
    await closed.logged(({ msg }) => msg.includes("can't be used"));
    const away = { store: 'away', on_failure: 'local', replicas: 2 };
    for (const path of ['/ready', '/live']) expect(await shownBy(local, path)).toEqual([200, away]);
    expect(await shownBy(closed, '/ready')).toEqual([200, { ...away, on_failure: 'closed' }]);
    const status = await runExecutable(['status', '--server', local.url], { endsWith: onTestFinished });
    expect(status.stdout).toContain(
      'Limits: their store is away, this server admits its share of each, one of 2\n',
    );
    const remaining = [];
    for (let count = 0; count < 4; count += 1) remaining.push(await ask(local));
    expect(remaining).toEqual([
      [200, '2'],
      [200, '1'],
      [200, '0'],
      [429, '0'],
    ]);
    const refused = await generate(closed);
    expect([refused.status, refused.headers.get('x-reject-reason')]).toEqual([503, 'store_unavailable']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await metric(closed, 'llm_serve_limit_store_up', '')).toBe(0);
    await valkey.restart();
    await closed.logged(({ msg }) => msg.includes('used again'));
    expect((await generate(closed)).status).toBe(200);
  });

  it('does not start with a wrong password, nor with an address that is none, and shows neither', async () => {
    const valkey = await startValkey({ args: ['--requirepass', 'right'], endsWith: onTestFinished });
    const run = (store: string) =>
      runExecutable(['--port', '0', ...flagsFor(store)], { endsWith: onTestFinished });
    const refused = await run(`${valkey.address}?password=hunter22`);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr + refused.stdout).toContain('does not let this server in');
    const malformed = await run('valkey://:hunter22@one,two');
    expect(malformed.exitCode).toBe(2);
    expect(malformed.stderr).toContain('limits.store has several hosts');
    for (const { stderr, stdout } of [refused, malformed]) expect(stderr + stdout).not.toContain('hunter22');
  });
});
