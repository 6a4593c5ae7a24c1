/** What becomes of calls, and of a running server, when its PostgreSQL is gone, slow, or lets nobody in. */
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { hashOfKey } from '../../src/access/key-text.ts';
import { openStore } from '../../src/stores/open-store.ts';
import { openPostgres } from '../../src/stores/postgres/open-postgres.ts';
import type { PostgresTimes } from '../../src/stores/postgres/postgres-database.ts';
import { ask } from '../support/http-client.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { startServer, TEST_WORKERS } from '../support/server.ts';
import { missingPostgres, type PostgresServer, startPostgres } from '../support/stores/postgres-server.ts';
import { auditEntry, plainKey, secret, usageRow } from '../support/stores/records.ts';

const ALL_TIME = { from: 0, to: Number.MAX_SAFE_INTEGER };
const missing = missingPostgres();

describe.skipIf(missing !== undefined)(`PostgreSQL${missing === undefined ? '' : `: ${missing}`}`, () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
  });

  afterAll(() => server?.remove());

  async function opened(address: string, times: Partial<PostgresTimes> = {}) {
    const store = await openPostgres(address, times);
    onTestFinished(() => store.close());
    return store;
  }

  test.each([
    ['nothing listens', { port: 1 }, 'unavailable', 'nothing listens there'],
    ['the password is wrong', { password: 'planted-secret' }, 'refused', 'Check user and password'],
    ['the user is unknown', { user: 'nobody' }, 'refused', 'Check user and password'],
    ['the database is unknown', { database: 'missing' }, 'refused', 'does not exist. Create it: createdb'],
    [
      'it can only be read',
      { query: 'default_transaction_read_only=on' },
      'refused',
      'it is a standby, or read-only',
    ],
    ['it speaks no TLS, which is asked for', { query: 'sslmode=verify-full' }, 'unavailable', ''],
  ] as const)('%s: one sentence, without the password', async (_, changes, fault, words) => {
    const database = await server.createDatabase();
    const error = await openStore(database.addressWith(changes)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ fault, message: expect.stringContaining(words) });
    const text = JSON.stringify(error) + String(error);
    expect(text).not.toContain('planted-secret');
    expect(text).not.toContain('p@ss');
  });

  test('an address with what libpq’s clients say of their connection', async () => {
    const { addressWith } = await server.createDatabase();
    const store = await opened(
      addressWith({ query: 'sslmode=prefer&connect_timeout=10&keepalives=1&application_name=llm' }),
    );
    await store.keys.add(plainKey('alice'));
    expect(await store.keys.list()).toEqual([plainKey('alice')]);
  });

  test('it is reached on its socket, too', async () => {
    const { socketAddress } = await server.createDatabase();
    const store = await opened(socketAddress);
    await store.keys.add(plainKey('alice'));
    expect(await store.keys.list()).toEqual([plainKey('alice')]);
  });

  test('a report that waits holds up neither keys nor what is written, and neither does usage that waits', async () => {
    const { address, name } = await server.createDatabase();
    const store = await opened(address, { statementMs: 60_000, callMs: 90_000 });
    const holder = server
      .execute(`BEGIN; LOCK TABLE ${name}.llm_serve_usage; SELECT pg_sleep(600)`)
      .catch(() => {});
    const locks = `FROM pg_locks WHERE relation = '${name}.llm_serve_usage'::regclass`;
    await expect.poll(async () => (await server.execute(`SELECT 1 ${locks} AND granted`)).length).toBe(1);
    const report = store.usage.report({ by: [], ...ALL_TIME });
    const added = store.usage.add([usageRow()], 'batch');
    await expect.poll(async () => (await server.execute(`SELECT 1 ${locks} AND NOT granted`)).length).toBe(2);
    await store.keys.add(plainKey('alice'));
    expect(await store.keys.changedSince(0)).toMatchObject({ revision: 2 });
    await store.audit.add(auditEntry());
    await server.execute(`SELECT pg_terminate_backend(pid) ${locks} AND granted`);
    await Promise.all([holder, report, added]);
  });

  test('a statement that waits too long for others is ended, and the next one succeeds', async () => {
    const { address, name } = await server.createDatabase();
    const store = await opened(address, { statementMs: 3000 });
    const holder = server
      .execute(`BEGIN; LOCK TABLE ${name}.llm_serve_usage; SELECT pg_sleep(600)`)
      .catch(() => {});
    const locks = `FROM pg_locks WHERE relation = '${name}.llm_serve_usage'::regclass AND mode = 'AccessExclusiveLock'`;
    await expect.poll(async () => (await server.execute(`SELECT 1 ${locks} AND granted`)).length).toBe(1);
    await expect(store.usage.add([usageRow()], 'batch')).rejects.toMatchObject({
      fault: 'unavailable',
      message: expect.stringMatching(/answered too late|is locked by others/),
    });
    await server.execute(`SELECT pg_terminate_backend(pid) ${locks}`);
    await holder;
    await store.usage.add([usageRow()], 'other');
    expect(await store.usage.report({ by: [], ...ALL_TIME })).toMatchObject([{ requests: 1 }]);
  });

  test('where nothing comes back, calls end in time, and succeed when it answers again', async () => {
    const proxy = await startProxy(server.port);
    const database = await server.createDatabase();
    const store = await opened(database.addressWith({ port: proxy.port }), { callMs: 5000 });
    await store.keys.add(plainKey('alice'));
    proxy.pause();
    await expect(store.keys.list()).rejects.toMatchObject({
      fault: 'unavailable',
      message: expect.stringContaining('answered too late'),
    });
    proxy.resume();
    await expect
      .poll(() =>
        store.keys.list().then(
          (keys) => keys.length,
          () => 0,
        ),
      )
      .toBe(1);
  });

  test('entries of the audit log are never changed, by whom ever', async () => {
    const { address, name } = await server.createDatabase();
    const store = await opened(address);
    await store.audit.add(auditEntry());
    for (const text of ["UPDATE %t SET actor = 'eve'", 'DELETE FROM %t', 'TRUNCATE %t'])
      await expect(server.execute(text.replace('%t', `${name}.llm_serve_audit`))).rejects.toThrow(
        'entries are never changed',
      );
    expect(await store.audit.list({ limit: 5 })).toEqual([auditEntry()]);
  });

  test('a server whose database is killed serves on with the keys it knows, and writes its usage when it is back', async () => {
    const { address } = await server.createDatabase();
    const key = 'sk-llm-0123456789abcdef';
    const first = await opened(address);
    await first.keys.add(plainKey('alice', { secrets: [secret(hashOfKey(key))], mayAdmin: true }));
    const running = await startServer({
      flags: [...scriptedFlags(), '--access.store', address],
      endsWith: onTestFinished,
    });
    const headers = { authorization: `Bearer ${key}` };
    const metrics = async () => (await ask(`${running.url}/metrics`, { headers })).text;
    const status = async (sent: Record<string, string>) =>
      (await ask(`${running.url}/generate`, { body: { prompt: 'hi' }, headers: sent })).status;
    expect(await status(headers)).toBe(200);
    await server.stop('SIGKILL');
    await running.logged(({ msg }) => msg.startsWith('access.store can’t be read'));
    expect(await status(headers)).toBe(200);
    expect(await status({})).toBe(401);
    await expect.poll(metrics).toContain('llm_serve_store_up{operation="read"} 0');
    await server.start();
    await running.logged(({ msg }) => msg.startsWith('access.store answers again'));
    const store = await opened(address);
    await expect.poll(async () => (await store.usage.report({ by: [], ...ALL_TIME }))[0]?.requests).toBe(2);
    await expect.poll(metrics).toContain('llm_serve_store_up{operation="read"} 1');
    const warnings = running.logs().filter(({ msg }) => msg.startsWith('access.store can’t be read'));
    const processes = TEST_WORKERS === 1 ? 1 : TEST_WORKERS + 1;
    expect(warnings.length, 'once by each process').toBeLessThanOrEqual(processes);
    expect(JSON.stringify(running.logs())).not.toContain('p@ss');
  });
});

interface PausingProxy {
  readonly port: number;
  /** Nothing passes, and nobody is told. */
  pause(): void;
  resume(): void;
}

async function startProxy(target: number): Promise<PausingProxy> {
  const sockets = new Set<Socket>();
  let isPaused = false;
  const proxy = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (!isPaused) to.write(bytes);
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    pause: () => {
      isPaused = true;
    },
    resume: () => {
      isPaused = false;
    },
  };
}
