// A Valkey or Redis for benchmarks, without persistence.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.mjs';

const PROGRAMS = ['valkey-server', 'redis-server'];
const program = PROGRAMS.find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined,
);

export function missingValkey() {
  return program === undefined ? `there is no executable ${PROGRAMS.join(' or ')}` : undefined;
}

/** Empty, on a port of its own; ends with `stop`. */
export async function startValkey() {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-bench-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
  const child = spawn(program, args, { stdio: 'ignore' });
  while (!(await answersAt(port))) await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    pid: child.pid,
    port,
    stop: async () => {
      child.kill('SIGKILL');
      await once(child, 'close');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function answersAt(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.destroy());
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
}

/** From `Redis server v=7.0.15 …` */
export function valkeyVersion() {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return `${program} ${/v=([\d.]+)/.exec(stdout)?.[1] ?? 'unknown'}`;
}
