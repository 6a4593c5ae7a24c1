/** A real PgBouncer for tests, in front of a PostgreSQL: on a free port, with its files in a temporary folder. Owns its process and its folder. */
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownPort } from '../own-port.ts';
import type { EndsWith } from '../server.ts';
import { anotherUser, isReached, PASSWORD } from './postgres-server.ts';

const PROGRAM = process.env.LLM_TEST_PGBOUNCER ?? '/usr/sbin/pgbouncer';

/** Why there can be none; undefined: there can. */
export const MISSING_PGBOUNCER =
  spawnSync(PROGRAM, ['--version'], { stdio: 'ignore', timeout: 30_000 }).status === 0
    ? undefined
    : `PgBouncer is not installed (${PROGRAM}, or the program that LLM_TEST_PGBOUNCER names)`;

interface Options {
  /** Of the PostgreSQL. */
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly endsWith: EndsWith;
}

/** Resolves with its port, which takes the same logins. */
export async function startPgBouncer({ port, settings, endsWith }: Options): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-pgbouncer-'));
  const as = anotherUser();
  const place = (name: string, lines: readonly string[]) => {
    const path = join(folder, name);
    writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 });
    if (as !== undefined) chownSync(path, as.uid, as.gid);
    return path;
  };
  if (as !== undefined) chownSync(folder, as.uid, as.gid);
  const own = await ownPort(endsWith);
  const given = {
    listen_addr: '127.0.0.1',
    listen_port: String(own),
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: place('users', [`"tester" "${PASSWORD}"`]),
    ...settings,
  };
  const file = place('pgbouncer.ini', [
    '[databases]',
    `postgres = host=127.0.0.1 port=${port} dbname=postgres`,
    '[pgbouncer]',
    ...Object.entries(given).map(([name, value]) => `${name} = ${value}`),
  ]);
  const child = spawn(PROGRAM, ['-q', file], {
    ...as,
    cwd: folder,
    stdio: 'ignore',
    env: { PATH: process.env.PATH },
  });
  const ended = new Promise<unknown>((resolve) => child.once('close', resolve));
  endsWith(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  await isReached(own, child);
  return own;
}
