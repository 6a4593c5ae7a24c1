/**
 * A real PostgreSQL for tests, on a free port and on a socket, with everything in a temporary folder. Owns its process and its folder. It
 * refuses to run as root, so root starts it as another user.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { claimPort } from '../own-port.ts';
import type { TestCertificate } from './certificates.ts';

const PROGRAMS = '/usr/lib/postgresql';
export const PASSWORD = 'p@ss:w/rd';
const STARTED_WITHIN_MS = 60_000;
/** Where it speaks TLS: `guarded` comes over TLS alone, with a certificate of its own; all with their passwords. */
const WAYS_IN = [
  'hostssl all guarded all scram-sha-256 clientcert=verify-ca',
  'host all guarded all reject',
  'host all all all scram-sha-256',
  'local all all scram-sha-256',
];

export interface PostgresServer {
  readonly version: string;
  readonly port: number;
  /** A new, empty place for tables. */
  createDatabase(): Promise<PostgresTestDatabase>;
  /** Runs one statement as the superuser. */
  execute(text: string): Promise<readonly Record<string, unknown>[]>;
  /** `SIGKILL`: as if the machine had gone. Resolves when it has ended. */
  stop(signal?: 'SIGINT' | 'SIGKILL'): Promise<void>;
  /** Starts it again, with what was kept, on the same port. */
  start(): Promise<void>;
  /** Stops it and starts it again: it speaks TLS, with this certificate. */
  restartWith(files: PostgresTlsFiles): Promise<void>;
  /** Ends it and removes what it kept. */
  remove(): Promise<void>;
}

export interface PostgresTlsFiles {
  readonly own: TestCertificate;
  /** Who may vouch for a client, where one is to be vouched for. */
  readonly rootOfClients?: string;
}

export interface PostgresTestDatabase {
  /** Of its schema. */
  readonly name: string;
  readonly address: string;
  /** The same database through another port, with another password, … */
  addressWith(changes: {
    readonly port?: number;
    readonly user?: string;
    readonly password?: string;
    readonly database?: string;
    readonly host?: string;
    readonly query?: string;
  }): string;
  readonly socketAddress: string;
}

/** Where its programs are; undefined: it is not installed. */
function programsFolder(): string | undefined {
  const named = process.env.LLM_TEST_POSTGRES;
  if (named !== undefined) return named;
  if (!existsSync(PROGRAMS)) return undefined;
  return readdirSync(PROGRAMS)
    .sort((one, other) => Number(other) - Number(one))
    .map((version) => join(PROGRAMS, version, 'bin'))
    .find((folder) => existsSync(join(folder, 'initdb')));
}

/** Why no PostgreSQL can be started; undefined: it can. */
export function missingPostgres(): string | undefined {
  return programsFolder() === undefined
    ? 'PostgreSQL is not installed (/usr/lib/postgresql, or the folder that LLM_TEST_POSTGRES names)'
    : undefined;
}

export function postgresProgram(name: string): string {
  return join(programsFolder() ?? '', name);
}

/** `settings`: as in postgresql.conf. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-pg-'));
  const as = anotherUser();
  if (as !== undefined) chownSync(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${PASSWORD}\n`);
  // Passwords are asked for on every way in, as in earnest.
  execFileSync(
    postgresProgram('initdb'),
    [
      '-D',
      data,
      '-U',
      'tester',
      '--no-sync',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--locale=C',
      '-E',
      'UTF8',
    ],
    {
      ...as,
      input: `${PASSWORD}\n`,
      stdio: ['pipe', 'ignore', 'pipe'],
      cwd: folder,
      env: { PATH: process.env.PATH },
    },
  );
  const { port, release } = await claimPort();
  const given = Object.entries({
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: folder,
    fsync: 'off',
    full_page_writes: 'off',
    max_connections: '40',
    shared_buffers: '16MB',
    ...settings,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const execute = (text: string) => executeAt(port, text);

  let child: ChildProcess | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  const tlsSettings: string[] = [];
  const start = async () => {
    const started = spawn(postgresProgram('postgres'), ['-D', data, ...given, ...tlsSettings], {
      ...as,
      cwd: folder,
      stdio: 'ignore',
      env: { PATH: process.env.PATH },
    });
    child = started;
    ended = new Promise((resolve) => started.once('close', resolve));
    await isReached(port, started);
  };
  const stop = async (signal: NodeJS.Signals = 'SIGINT') => {
    child?.kill(signal);
    await ended;
  };
  const restartWith = async ({ own, rootOfClients }: PostgresTlsFiles) => {
    await stop();
    // It takes a key only from its own user's hands.
    const placed = (from: string, name: string) => {
      const path = join(data, name);
      copyFileSync(from, path);
      chmodSync(path, 0o600);
      if (as !== undefined) chownSync(path, as.uid, as.gid);
      return path;
    };
    placed(own.certificate, 'server.crt');
    placed(own.key, 'server.key');
    writeFileSync(join(data, 'pg_hba.conf'), WAYS_IN.join('\n'));
    const clients =
      rootOfClients === undefined ? [] : ['-c', `ssl_ca_file=${placed(rootOfClients, 'clients.crt')}`];
    tlsSettings.splice(0, Infinity, '-c', 'ssl=on', ...clients);
    await start();
  };
  let databases = 0;
  await start();
  const [row] = await execute('SHOW server_version');
  return {
    version: String(row?.server_version),
    port,
    execute,
    start,
    stop,
    restartWith,
    createDatabase: async () => {
      databases += 1;
      const name = `db_${databases}`;
      // A schema of its own takes milliseconds, where a database takes seconds on a busy disk.
      await execute(`CREATE SCHEMA ${name}`);
      const addressWith: PostgresTestDatabase['addressWith'] = (changes) => {
        const user = changes.user ?? 'tester';
        const password = encodeURIComponent(changes.password ?? PASSWORD);
        const query = `?search_path=${name}${changes.query === undefined ? '' : `&${changes.query}`}`;
        return `postgres://${user}:${password}@${changes.host ?? '127.0.0.1'}:${changes.port ?? port}/${changes.database ?? 'postgres'}${query}`;
      };
      return {
        name,
        address: addressWith({}),
        addressWith,
        socketAddress: `postgres://tester:${encodeURIComponent(PASSWORD)}@/postgres?host=${folder}&port=${port}&search_path=${name}`,
      };
    },
    remove: async () => {
      await stop('SIGINT');
      release();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Undefined: this one will do. */
export function anotherUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (kind: '-u' | '-g', name: string) =>
    Number(execFileSync('id', [kind, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  for (const name of ['postgres', 'nobody']) {
    try {
      return { uid: idOf('-u', name), gid: idOf('-g', name) };
    } catch {
      // There is no such user here.
    }
  }
  throw new Error('no user is there to run PostgreSQL as');
}

async function executeAt(port: number, text: string): Promise<readonly Record<string, unknown>[]> {
  const sql = postgres({
    host: '127.0.0.1',
    port,
    user: 'tester',
    password: PASSWORD,
    database: 'postgres',
    max: 1,
    fetch_types: false,
    onnotice: () => {},
  });
  try {
    return await sql.unsafe<Record<string, unknown>[]>(text);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Resolves when it lets the superuser in; rejects where it ends first. */
export async function isReached(port: number, child: ChildProcess): Promise<void> {
  const giveUpAt = Date.now() + STARTED_WITHIN_MS;
  for (;;) {
    try {
      await executeAt(port, 'SELECT 1');
      return;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > giveUpAt) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
