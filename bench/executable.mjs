// The real executable, as users run it: an own folder, a clean environment, JSON log lines to a file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';

export const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const READY_WITHIN_MS = 60_000;
const INHERITED = ['PATH', 'HOME', 'USERPROFILE', 'SYSTEMROOT', 'TEMP', 'TMPDIR', 'LANG', 'XDG_CACHE_HOME'];

/** A benchmark that fails leaves nothing running. */
const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

/** Starts the server on a free port and resolves once it is ready. `execArgv` is for profiling it, `node` another Node. */
export async function startExecutable(options) {
  const { child, logFile, stop } = spawnExecutable(options);
  try {
    return { url: await readyUrl(child, logFile), pid: child.pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts the process and waits for nothing. */
export function spawnExecutable({
  flags = [],
  environment = {},
  execArgv = [],
  node = process.execPath,
  port = 0,
}) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-bench-'));
  const logFile = join(folder, 'requests.log');
  const log = openSync(logFile, 'w');
  const argv = [...execArgv, MAIN, '--port', String(port), '--logging.format', 'json', ...flags];
  const child = spawn(node, argv, {
    cwd: folder,
    env: {
      ...inheritedEnvironment(),
      LLM_SERVE_SERVER__SHUTDOWN_DELAY_SECONDS: '0',
      LLM_SERVE_DATA__DIRECTORY: folder,
      ...environment,
    },
    stdio: ['ignore', log, 'inherit'],
  });
  closeSync(log);
  running.add(child);
  const exited = once(child, 'exit').then(() => running.delete(child));
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  return { child, logFile, stop };
}

async function readyUrl(child, logFile) {
  const giveUpAt = Date.now() + READY_WITHIN_MS;
  for (let url; Date.now() < giveUpAt && child.exitCode === null; await delay(50)) {
    url ??= / listens on (http:[^"\s]+)/.exec(readFileSync(logFile, 'utf8'))?.[1];
    if (url && (await isReady(url))) return url;
  }
  throw new Error(`the executable did not become ready: ${readFileSync(logFile, 'utf8')}`);
}

async function isReady(url) {
  const { statusCode, body } = await request(`${url}/ready`);
  await body.dump();
  return statusCode === 200;
}

function inheritedEnvironment() {
  return Object.fromEntries(
    INHERITED.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]),
  );
}
