/**
 * A reverse proxy from deploy/proxies in front of a server, on a free port: its own configuration with the two ports changed.
 * Owns its process and its folder.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const FOLDER = fileURLToPath(new URL('../../deploy/proxies', import.meta.url));

interface ProxyKind {
  readonly files: readonly string[];
  readonly args: (folder: string) => readonly string[];
}

const PROXIES = {
  haproxy: { files: ['haproxy.cfg'], args: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')] },
  nginx: {
    files: ['nginx.conf'],
    args: (folder) => [
      ...['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
      ...['-g', `daemon off; master_process off; pid ${join(folder, 'nginx.pid')};`],
    ],
  },
  caddy: { files: ['Caddyfile'], args: (folder) => ['run', '--config', join(folder, 'Caddyfile')] },
  traefik: {
    files: ['traefik.yaml', 'traefik-routes.yaml'],
    args: (folder) => [`--configFile=${join(folder, 'traefik.yaml')}`],
  },
  envoy: {
    files: ['envoy.yaml'],
    args: (folder) => ['-c', join(folder, 'envoy.yaml'), '--use-dynamic-base-id', '--concurrency', '1'],
  },
} as const satisfies Record<string, ProxyKind>;

export type ProxyId = keyof typeof PROXIES;

export const PROXY_IDS = Object.keys(PROXIES) as ProxyId[];

/** `LLM_TEST_NGINX` and the like, or the name on the path. */
function executableOf(id: ProxyId): string {
  return process.env[`LLM_TEST_${id.toUpperCase()}`] ?? id;
}

/** Why it cannot be tried on this machine. */
export function missingProxy(id: ProxyId): string | undefined {
  const { error } = spawnSync(executableOf(id), ['--version'], { stdio: 'ignore', timeout: 30_000 });
  return error === undefined ? undefined : `there is no executable ${executableOf(id)}`;
}

/** Resolves with its port when the server answers through it. */
export async function startProxy(
  id: ProxyId,
  serverPort: number,
  endsWith: (end: () => Promise<void>) => void,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), `llm-serve-${id}-`));
  const port = await freePort();
  const { files, args } = PROXIES[id] as ProxyKind;
  for (const file of files) {
    const text = readFileSync(join(FOLDER, file), 'utf8');
    writeFileSync(
      join(folder, file),
      text
        .replaceAll('8080', String(port))
        .replaceAll('127.0.0.1:8000', `127.0.0.1:${serverPort}`)
        .replaceAll('port_value: 8000', `port_value: ${serverPort}`),
    );
  }
  const child = spawn(executableOf(id), args(folder), {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  endsWith(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  await expect
    .poll(() => (child.exitCode === null ? answersAt(port) : `${id} ended: ${printed}`), { timeout: 30_000 })
    .toBe(true);
  return port;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function answersAt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path: '/health', agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    }).once('error', () => resolve(false));
  });
}
