/**
 * Prometheus with the project's own configuration, scraping one server quickly, on a port of its own; and promtool. Owns its process and its
 * folder.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ownPort } from './own-port.ts';
import type { EndsWith } from './server.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy/prometheus', import.meta.url));

/** `LLM_TEST_PROMETHEUS` and the like, or the name on the path. */
function executableOf(program: 'prometheus' | 'promtool'): string {
  return process.env[`LLM_TEST_${program.toUpperCase()}`] ?? program;
}

/** Why it cannot be tried on this machine. */
export function missingProgram(program: 'prometheus' | 'promtool'): string | undefined {
  const { error } = spawnSync(executableOf(program), ['--version'], { stdio: 'ignore', timeout: 30_000 });
  return error === undefined ? undefined : `there is no executable ${executableOf(program)}`;
}

/** What it prints, and whether it is content. */
export function promtool(...args: readonly string[]): { readonly isFine: boolean; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(executableOf('promtool'), args, {
    cwd: DEPLOY,
    encoding: 'utf8',
  });
  return { isFine: status === 0, text: stdout + stderr };
}

export interface Prometheus {
  /** The number of series that an instant query finds now. Throws Prometheus' own error. */
  count(query: string): Promise<number>;
  rules(): Promise<
    readonly { readonly name: string; readonly health: string; readonly lastError?: string }[]
  >;
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  // biome-ignore lint/suspicious/noExplicitAny: each endpoint has its own.
  readonly data: any;
}

const LOOK_EVERY_MS = 100;

/** Resolves when it has scraped the server. */
export async function startPrometheus(serverPort: number, endsWith: EndsWith): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-prometheus-'));
  const port = await ownPort(endsWith);
  const url = `http://127.0.0.1:${port}`;
  cpSync(join(DEPLOY, 'alerts.yaml'), join(folder, 'alerts.yaml'));
  const config = readFileSync(join(DEPLOY, 'prometheus.yaml'), 'utf8')
    .replace('127.0.0.1:8000', `127.0.0.1:${serverPort}`)
    .replace(/scrape_interval: \w+/, 'scrape_interval: 1s')
    .replace(/evaluation_interval: \w+/, 'evaluation_interval: 1s');
  writeFileSync(join(folder, 'prometheus.yaml'), config);
  const flags = {
    'config.file': join(folder, 'prometheus.yaml'),
    'storage.tsdb.path': join(folder, 'data'),
    'web.listen-address': `127.0.0.1:${port}`,
    'log.level': 'warn',
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(executableOf('prometheus'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  endsWith(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  const ask = async (path: string) => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as Answer;
    if (status !== 'success') throw new Error(`${path}: ${error}`);
    return data;
  };
  const prometheus: Prometheus = {
    count: async (query) => (await ask(`query?query=${encodeURIComponent(query)}`)).result.length,
    rules: async () => (await ask('rules')).groups.flatMap((group: { rules: unknown[] }) => group.rules),
  };
  while ((await prometheus.count('up == 1').catch(() => 0)) === 0) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}: ${errors}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return prometheus;
}
