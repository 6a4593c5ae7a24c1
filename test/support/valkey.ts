/**
 * A real Valkey or Redis for tests, on a socket in a folder of its own (and on a port where one is asked for), without persistence.
 * Owns its process and its folder, also over restarts.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownPort } from './own-port.ts';
import type { EndsWith } from './server.ts';

/** The first of them that runs here: `LLM_TEST_VALKEY`, else what is on the path. */
const PROGRAMS = process.env.LLM_TEST_VALKEY
  ? [process.env.LLM_TEST_VALKEY]
  : ['valkey-server', 'redis-server'];

const program = PROGRAMS.find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore', timeout: 30_000 }).error === undefined,
);

/** Why nothing of it can be tried on this machine. */
export const MISSING_VALKEY =
  program === undefined ? `there is no executable ${PROGRAMS.join(' or ')}` : undefined;

export interface TestValkey {
  /** What `limits.store` is to be. */
  readonly address: string;
  readonly socket: string;
  /** 0: none. */
  readonly port: number;
  readonly pid: number;
  /** Ends it as a crash does; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again, empty, at the same place. */
  restart(): Promise<void>;
  /** Stops the process, or lets it go on: connections stay open, and nothing is answered. */
  freeze(isFrozen: boolean): void;
  /** Sends one command and resolves with the raw answer. */
  command(...words: readonly string[]): Promise<string>;
  /** Several over one connection. */
  commands(...commands: readonly (readonly string[])[]): Promise<string>;
}

interface TestValkeyOptions {
  readonly args?: readonly string[];
  readonly hasPort?: boolean;
  readonly endsWith: EndsWith;
}

export async function startValkey({
  args = [],
  hasPort = false,
  endsWith,
}: TestValkeyOptions): Promise<TestValkey> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-valkey-'));
  const socket = join(folder, 's');
  const port = hasPort ? await ownPort(endsWith) : 0;
  let child: ChildProcess;
  let ended: Promise<void>;
  const start = async () => {
    const own = ['--port', String(port), '--bind', '127.0.0.1', '--unixsocket', socket, '--dir', folder];
    child = spawn(program ?? '', [...own, '--save', '', '--appendonly', 'no', ...args], {
      cwd: folder,
      stdio: 'ignore',
    });
    ended = new Promise((resolve) => child.once('close', () => resolve()));
    while (!(await isListening(socket))) {
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  endsWith(async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });
  await start();
  return {
    address: `unix:${socket}`,
    socket,
    port,
    get pid() {
      return child.pid ?? 0;
    },
    kill,
    restart: async () => {
      await kill();
      await start();
    },
    freeze: (isFrozen) => void child.kill(isFrozen ? 'SIGSTOP' : 'SIGCONT'),
    command: (...words) => ask(socket, [words]),
    commands: (...commands) => ask(socket, commands),
  };
}

function connectTo(at: string | number): Socket {
  return typeof at === 'string' ? connect(at) : connect(at, '127.0.0.1');
}

function isListening(at: string | number): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connectTo(at);
    connection.once('connect', () => resolve(true)).once('error', () => resolve(false));
    connection.once('connect', () => connection.destroy());
  });
}

/** A sentinel that watches the server at a port by the name `limits`, and decides alone. Resolves with its own port. */
export async function startSentinel(watched: number, endsWith: EndsWith): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-sentinel-'));
  const port = await ownPort(endsWith);
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor limits 127.0.0.1 ${watched} 1`,
    'sentinel down-after-milliseconds limits 500',
    'sentinel failover-timeout limits 2000',
  ];
  writeFileSync(join(folder, 'sentinel.conf'), lines.join('\n'));
  const child = spawn(program ?? '', [join(folder, 'sentinel.conf'), '--sentinel'], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  endsWith(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  while (!(await isListening(port))) {
    if (child.exitCode !== null) throw new Error(`the sentinel ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return port;
}

/** What a sentinel knows of the replicas of `limits`, as raw text; it knows no QUIT. */
export function replicasAt(sentinel: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connectTo(sentinel);
    connection.setEncoding('utf8').once('data', (text: string) => {
      connection.destroy();
      resolve(text);
    });
    connection.once('error', reject);
    connection.write(encoded(['SENTINEL', 'REPLICAS', 'limits']));
  });
}

/** Sends all commands and resolves with their raw answers, when the server has closed the connection. */
function ask(at: string | number, commands: readonly (readonly string[])[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connectTo(at);
    let answer = '';
    connection.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    connection.once('error', reject).once('close', () => resolve(answer.replace(/\+OK\r\n$/, '')));
    // After QUIT the server closes.
    connection.write([...commands, ['QUIT']].map(encoded).join(''));
  });
}

function encoded(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}
