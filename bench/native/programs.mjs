// Client and upstream where both must be cheap and exact: C programs, compiled into a temporary folder when they are needed, that
// run on all cores but the server's.
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAMES = ['upstream', 'stream-client', 'request-client'];
const CLIENT_WITHIN_MS = 60_000;

/** Why these programs cannot be used on this machine, if so. */
export function whatIsMissing() {
  if (process.platform !== 'linux') return 'it needs Linux';
  for (const [tool, purpose] of [
    ['cc', 'a C compiler'],
    ['taskset', 'to pin programs to cores'],
  ]) {
    if (spawnSync(tool, ['--version']).error) return `there is no ${tool} (${purpose})`;
  }
  return allowedCores().length < 2 ? 'it needs two cores' : undefined;
}

/** Starts the upstream; `run` gives a client a request and resolves with what it measured. */
export async function startNativePrograms() {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-bench-native-'));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  // A benchmark that fails leaves nothing behind.
  process.once('exit', removeFolder);
  for (const name of NAMES) {
    const source = fileURLToPath(new URL(`${name}.c`, import.meta.url));
    execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-o', join(folder, name), source, '-lm']);
  }
  const [serverCore, ...others] = allowedCores();
  const command = (name, args) => [
    'taskset',
    ['-c', others.join(','), join(folder, name), ...args.map(String)],
  ];
  const upstream = spawn(...command('upstream', []), { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(upstream, 'exit');
  const end = () => upstream.kill('SIGTERM');
  process.once('exit', end);
  const [port] = await once(upstream.stdout.setEncoding('utf8'), 'data');
  return {
    upstreamUrl: `http://127.0.0.1:${Number(port)}`,
    pinServer: ({ pid }) => pin(pid, String(serverCore)),
    pinOther: ({ pid }) => pin(pid, others.join(',')),
    run: (name, args, request) => measureWith(command(name, args), request),
    stop: async () => {
      process.off('exit', end);
      end();
      await exited;
      process.off('exit', removeFolder);
      removeFolder();
    },
  };
}

/** All threads that it has, and so all that these will start. */
function pin(pid, cores) {
  execFileSync('taskset', ['-a', '-c', '-p', cores, String(pid)], { stdio: 'ignore' });
}

/** A client that could not measure says why in one line; that is a result too: `{ failed }`. */
function measureWith([file, args], { path, body }) {
  return new Promise((resolve, reject) => {
    const client = execFile(file, args, { timeout: CLIENT_WITHIN_MS }, (error, printed, complaint) => {
      if (error && complaint === '') reject(error);
      else resolve(error ? { failed: complaint.trim() } : JSON.parse(printed));
    });
    const text = JSON.stringify(body);
    client.stdin.end(
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  });
}

/** `0-1,4` is 0, 1 and 4. */
function allowedCores() {
  const [, list] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return list.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
}
