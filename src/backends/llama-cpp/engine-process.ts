/**
 * One run of the engine's process: starts it, passes messages, writes what it says to the log, and ends it.
 * Owns the child process; `onExit` is called exactly once, whatever ended it, and no message comes after it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Clock, Milliseconds } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import { builtEntry } from './built-entry.ts';
import { ErrorOutput } from './error-output.ts';
import type { FromEngine, ToEngine } from './messages.ts';
import { forEachLine } from './output-lines.ts';

const END_AT_LATEST_MS: Milliseconds = 2000;
/** A process that a driver or a dead disk holds inside the kernel outlives even SIGKILL: it is not waited for longer. */
const GONE_AT_LATEST_MS: Milliseconds = 3000;
/** Its last lines are read to their end, unless a process that it started holds them open. */
const LAST_LINES_WITHIN_MS: Milliseconds = 500;

export interface EngineEnd {
  /** A clause: "it was ended by SIGSEGV". */
  readonly how: string;
  /** What it wrote to standard error that tells most. */
  readonly lastWords: string | undefined;
}

export interface EngineProcessOptions {
  /** The engine's compiled entry. */
  readonly enginePath: string;
  /** Those of its variables that a native library may need are handed on to the process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onMessage: (message: FromEngine) => void;
  readonly onExit: (end: EngineEnd) => void;
}

export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #exited: Promise<void>;
  #killedBecause: string | undefined;

  constructor({ enginePath, environment, clock, log, onMessage, onExit }: EngineProcessOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#child = fork(enginePath, [], {
      // Decoding needs the cores: collect garbage without helper threads, and keep one thread for native calls
      // (with more, the kernel places the threads of a decode step badly and it takes twice as long).
      execArgv: ['--single-threaded-gc'],
      env: { ...inheritedFrom(environment), UV_THREADPOOL_SIZE: '1' },
      // Nothing is ever written to its standard input: that it closes tells the engine of our end.
      stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    });
    this.#child.stdin?.on('error', () => {});
    const errors = new ErrorOutput(log);
    if (this.#child.stdout) forEachLine(this.#child.stdout, (line) => log.debug('engine output', { line }));
    if (this.#child.stderr) forEachLine(this.#child.stderr, (line) => errors.take(line));
    this.#child.on('message', (message) => {
      const told = message as FromEngine;
      // The native library tells its errors to its logger, not to standard error.
      if (told.type === 'log' && told.level === 'error') errors.remember(told.message);
      if (this.#killedBecause === undefined) onMessage(told);
    });
    this.#exited = this.#whenEnded().then((how) => onExit({ how, lastWords: errors.lastWords }));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ToEngine): void {
    // A channel that has just closed is reported by the exit that follows.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** Ends it at once; what it may still have sent is not heard. `because`: a clause for `onExit`. */
  kill(because: string): void {
    this.#killedBecause ??= because;
    this.#child.kill('SIGKILL');
  }

  /** Orders the end, and enforces it after two seconds. Settles when the process is gone, or cannot be got rid of. */
  async end(): Promise<void> {
    this.send({ type: 'shutdown' });
    const enforce = this.#clock.schedule(END_AT_LATEST_MS, () => this.#child.kill('SIGKILL'));
    let giveUp = () => {};
    const inVain = new Promise<void>((resolve) => {
      const timer = this.#clock.schedule(GONE_AT_LATEST_MS, () => {
        this.#log.error('engine process cannot be ended', { pid: this.pid });
        resolve();
      });
      giveUp = () => timer.cancel();
    });
    await Promise.race([this.#exited, inVain]);
    giveUp();
    enforce.cancel();
  }

  #whenEnded(): Promise<string> {
    const child = this.#child;
    return new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const how = this.#killedBecause ?? describeEnd(code, signal);
        const settle = () => {
          waited.cancel();
          resolve(how);
        };
        const waited = this.#clock.schedule(LAST_LINES_WITHIN_MS, settle);
        child.once('close', settle);
      });
      child.once('error', (error) => {
        // Without a process id it never started, and no exit will follow.
        if (child.pid === undefined) resolve(`it could not be started: ${error.message}`);
      });
    });
  }
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === null) return `it exited with code ${code}`;
  return signal === 'SIGKILL'
    ? 'it was ended by SIGKILL, as the system does when memory runs out'
    : `it was ended by ${signal}`;
}

export function defaultEnginePath(): string {
  return builtEntry('./engine/main.js', import.meta.url);
}

/** Search paths, temporary folders, locale, and what GPU drivers look at; no keys, none of our own settings. */
const INHERITED =
  /^(PATH|HOME|USER|USERPROFILE|SYSTEMROOT|WINDIR|TMPDIR|TEMP|TMP|LANG|LC_.*|TZ|LD_LIBRARY_PATH|DYLD_.*|XDG_.*|CUDA_.*|NVIDIA_.*|GGML_.*|VK_.*|HIP_.*|ROCR_.*|HSA_.*|OMP_.*)$/i;

function inheritedFrom(environment: EngineProcessOptions['environment']): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => INHERITED.test(name)));
}
