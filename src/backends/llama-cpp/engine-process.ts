/**
 * One run of the engine's process: starts it, passes messages, writes what it says to the log, and ends it.
 * Owns the child process; `onExit` is called exactly once, whatever ended it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Log } from '../../core/log.ts';
import type { FromEngine, ToEngine } from './messages.ts';

const END_AT_LATEST_MS = 2000;

export interface EngineProcessOptions {
  /** The engine's compiled entry. */
  readonly enginePath: string;
  /** Those of its variables that a native library may need are handed on to the process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly onMessage: (message: FromEngine) => void;
  /** One sentence on how it ended. */
  readonly onExit: (how: string) => void;
}

export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  constructor({ enginePath, environment, log, onMessage, onExit }: EngineProcessOptions) {
    this.#child = fork(enginePath, [], {
      // Decoding needs the cores: collect garbage without helper threads, and keep one thread for native calls
      // (with more, the kernel places the threads of a decode step badly and it takes twice as long).
      execArgv: ['--single-threaded-gc'],
      env: { ...inheritedFrom(environment), UV_THREADPOOL_SIZE: '1' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child.on('message', (message) => onMessage(message as FromEngine));
    forEachLine(this.#child.stdout, (line) => log.debug('engine output', { line }));
    forEachLine(this.#child.stderr, (line) => log.warn('engine error output', { line }));
    this.#exited = new Promise((resolve) => {
      const end = (how: string) => {
        resolve();
        onExit(how);
      };
      this.#child.once('exit', (code, signal) =>
        end(signal ? `it was ended by ${signal}` : `it exited with code ${code}`),
      );
      this.#child.once('error', (error) => {
        // Without a process id it never started, and no exit will follow.
        if (this.#child.pid === undefined) end(`it could not be started: ${error.message}`);
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ToEngine): void {
    // A channel that has just closed is reported by the exit that follows.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** Orders the end, and enforces it after two seconds. Settles when the process is gone. */
  async end(): Promise<void> {
    this.send({ type: 'shutdown' });
    const enforce = setTimeout(() => this.#child.kill('SIGKILL'), END_AT_LATEST_MS);
    await this.#exited;
    clearTimeout(enforce);
  }
}

/** From `src/` (tests) the entry compiled to `dist/` is used: the engine runs as plain JavaScript. */
export function defaultEnginePath(moduleUrl: string = import.meta.url): string {
  const entry = fileURLToPath(new URL('./engine/main.js', moduleUrl));
  if (!moduleUrl.endsWith('.ts')) return entry;
  const at = entry.lastIndexOf('/src/');
  return `${entry.slice(0, at)}/dist/${entry.slice(at + '/src/'.length)}`;
}

/** Search paths, temporary folders, locale, and what GPU drivers look at; no keys, none of our own settings. */
const INHERITED =
  /^(PATH|HOME|USER|USERPROFILE|SYSTEMROOT|WINDIR|TMPDIR|TEMP|TMP|LANG|LC_.*|TZ|LD_LIBRARY_PATH|DYLD_.*|XDG_.*|CUDA_.*|NVIDIA_.*|GGML_.*|VK_.*|HIP_.*|ROCR_.*|HSA_.*|OMP_.*)$/i;

function inheritedFrom(environment: EngineProcessOptions['environment']): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => INHERITED.test(name)));
}

function forEachLine(stream: Readable | null, take: (line: string) => void): void {
  if (stream === null) return;
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
    if (line.trim() !== '') take(line);
  });
}
