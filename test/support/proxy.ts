/**
 * A proxy from deploy/ in front of one server or two, on a port of its own: its own configuration with the ports changed. Owns its
 * process and its folder.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ownPort } from './own-port.ts';
import type { EndsWith } from './server.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));

interface ProxyKind {
  readonly program: Program;
  /** In deploy/. */
  readonly folder: string;
  readonly files: readonly string[];
  readonly args: (folder: string) => readonly string[];
  /** A file of the program that it needs, if it is not a part of it. */
  readonly module?: () => string;
  /** What the server in front of which it runs needs. */
  readonly serverFlags?: readonly string[];
  /** A variant that the file describes. */
  readonly edit?: (text: string) => string;
}

type Program = 'haproxy' | 'nginx' | 'caddy' | 'traefik' | 'envoy';

const nginxArgs =
  (file: string, directives = '') =>
  (folder: string) => [
    ...['-p', folder, '-c', join(folder, file), '-e', 'stderr'],
    ...['-g', `${directives} daemon off; master_process off; pid ${join(folder, 'nginx.pid')};`],
  ];

/** Where Debian has it. */
const streamModule = () =>
  process.env.LLM_TEST_NGINX_STREAM_MODULE ?? '/usr/lib/nginx/modules/ngx_stream_module.so';

const PROXY_PROTOCOL = ['--server.proxy-protocol', 'optional'];

const haproxyTcp = {
  ...{ program: 'haproxy', folder: 'proxies', files: ['haproxy-tcp.cfg'] },
  args: (folder) => ['-db', '-f', join(folder, 'haproxy-tcp.cfg')],
  serverFlags: PROXY_PROTOCOL,
} as const satisfies ProxyKind;

/** In front of one server, at 8000. */
const PROXIES = {
  haproxy: {
    ...{ program: 'haproxy', folder: 'proxies', files: ['haproxy.cfg'] },
    args: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
  },
  'haproxy as TCP proxy': haproxyTcp,
  'haproxy as TCP proxy, PROXY version 1': {
    ...haproxyTcp,
    edit: (text) => text.replace(/ send-proxy-v2$/m, ' send-proxy'),
  },
  nginx: { program: 'nginx', folder: 'proxies', files: ['nginx.conf'], args: nginxArgs('nginx.conf') },
  'nginx as TCP proxy': {
    ...{ program: 'nginx', folder: 'proxies', files: ['nginx-tcp.conf'] },
    args: (folder) => nginxArgs('nginx-tcp.conf', `load_module ${streamModule()};`)(folder),
    module: streamModule,
    serverFlags: PROXY_PROTOCOL,
  },
  caddy: {
    ...{ program: 'caddy', folder: 'proxies', files: ['Caddyfile'] },
    args: (folder) => ['run', '--config', join(folder, 'Caddyfile')],
  },
  traefik: {
    ...{ program: 'traefik', folder: 'proxies', files: ['traefik.yaml', 'traefik-routes.yaml'] },
    args: (folder) => [`--configFile=${join(folder, 'traefik.yaml')}`],
  },
  envoy: {
    ...{ program: 'envoy', folder: 'proxies', files: ['envoy.yaml'] },
    args: (folder) => ['-c', join(folder, 'envoy.yaml'), '--use-dynamic-base-id', '--concurrency', '1'],
  },
} as const satisfies Record<string, ProxyKind>;

export type ProxyId = keyof typeof PROXIES;

export const PROXY_IDS = Object.keys(PROXIES) as ProxyId[];

/** In front of two instances, at 8001 and 8002. */
const BALANCERS = {
  'haproxy-tcp': {
    program: 'haproxy',
    folder: 'two-instances',
    files: ['haproxy-tcp.cfg'],
    args: (folder) => ['-db', '-f', join(folder, 'haproxy-tcp.cfg')],
  },
  'haproxy-http': {
    program: 'haproxy',
    folder: 'two-instances',
    files: ['haproxy-http.cfg'],
    args: (folder) => ['-db', '-f', join(folder, 'haproxy-http.cfg')],
  },
  nginx: {
    ...{ program: 'nginx', folder: 'two-instances', files: ['nginx.conf'] },
    args: nginxArgs('nginx.conf'),
  },
} as const satisfies Record<string, ProxyKind>;

export type BalancerId = keyof typeof BALANCERS;

export const BALANCER_IDS = Object.keys(BALANCERS) as BalancerId[];

export function missingBalancer(id: BalancerId): string | undefined {
  return missingParts(BALANCERS[id]);
}

/** Resolves with its port when an instance answers through it. */
export function startBalancer(
  id: BalancerId,
  [one, two]: readonly [number, number],
  endsWith: EndsWith,
): Promise<number> {
  return start(BALANCERS[id], { 8001: one, 8002: two }, endsWith);
}

/** `LLM_TEST_NGINX` and the like, or the name on the path. */
function executableOf(program: Program): string {
  return process.env[`LLM_TEST_${program.toUpperCase()}`] ?? program;
}

/** Why it cannot be tried on this machine. */
export function missingProxy(id: ProxyId): string | undefined {
  return missingParts(PROXIES[id]);
}

function missingParts({ program, module }: ProxyKind): string | undefined {
  const { error } = spawnSync(executableOf(program), ['--version'], { stdio: 'ignore', timeout: 30_000 });
  if (error !== undefined) return `there is no executable ${executableOf(program)}`;
  const file = module?.();
  return file === undefined || existsSync(file) ? undefined : `there is no file ${file}`;
}

export function serverFlagsOf(id: ProxyId): readonly string[] {
  const kind: ProxyKind = PROXIES[id];
  return kind.serverFlags ?? [];
}

/** Resolves with its port when the server answers through it. */
export function startProxy(id: ProxyId, serverPort: number, endsWith: EndsWith): Promise<number> {
  return start(PROXIES[id], { 8000: serverPort }, endsWith);
}

/** `ports`: those of the configuration's servers, and those to use instead. */
async function start(
  { program, folder: source, files, args, edit = (text) => text }: ProxyKind,
  ports: Readonly<Record<number, number>>,
  endsWith: EndsWith,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), `llm-serve-${program}-`));
  const port = await ownPort(endsWith);
  for (const file of files) {
    let text = edit(readFileSync(join(DEPLOY, source, file), 'utf8')).replaceAll('8080', String(port));
    for (const [written, used] of Object.entries(ports))
      text = text
        .replaceAll(`127.0.0.1:${written}`, `127.0.0.1:${used}`)
        .replaceAll(`port_value: ${written}`, `port_value: ${used}`);
    writeFileSync(join(folder, file), text);
  }
  const child = spawn(executableOf(program), args(folder), {
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
    .poll(() => (child.exitCode === null ? answersAt(port) : `${program} ended: ${printed}`))
    .toBe(true);
  return port;
}

function answersAt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path: '/health', agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    }).once('error', () => resolve(false));
  });
}
