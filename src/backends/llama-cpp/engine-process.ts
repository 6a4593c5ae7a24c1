/**
 * One run of the engine's process: starts it, passes messages, writes what it says to the log, and ends it.
 * Owns the child process; `onExit` is called exactly once, whatever ended it, and no message comes after it.
 */

import { type ChildProcess, fork } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Clock, Milliseconds } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { FromEngine, ToEngine } from './messages.ts';

const KILL_AFTER_MS: Milliseconds = 2000;
/** A process that a driver or a dead disk holds inside the kernel outlives even SIGKILL: it is not waited for longer. */
const GIVE_UP_AFTER_MS: Milliseconds = 3000;
/** Its last lines are read to their end, unless a process that it started holds them open. */
const LAST_LINES_TIMEOUT_MS: Milliseconds = 500;

export interface EngineEnd {
  /** A clause: "it was ended by SIGSEGV". */
  readonly how: string;
  /** What it wrote to standard error that tells most. */
  readonly lastWords: string | undefined;
}

interface EngineProcessOptions {
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
    if (this.#child.stderr) forEachLine(this.#child.stderr, (line) => errors.write(line));
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
    const enforce = this.#clock.schedule(KILL_AFTER_MS, () => this.#child.kill('SIGKILL'));
    let giveUp = () => {};
    const inVain = new Promise<void>((resolve) => {
      const timer = this.#clock.schedule(GIVE_UP_AFTER_MS, () => {
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
        const waited = this.#clock.schedule(LAST_LINES_TIMEOUT_MS, settle);
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

/**
 * What an engine writes to its standard error: mostly native code, and mostly before it dies. Owns its last lines, so
 * that the entry on its death can say why.
 */

const LINES_KEPT = 20;

/** What ggml, the C++ runtime, the C library, GPU drivers and Node write when they give up. */
const FATAL =
  /GGML_(ASSERT|ABORT)|ggml_abort|terminate called|what\(\):|assertion .*failed|fatal|segmentation fault|\baborted\b|stack smashing|double free|corrupt|invalid pointer|panic|out of memory|bad_alloc|(CUDA|HIP|Vulkan|vk::\w+) ?error|^\s*\w*Error\b.*:|^Failed to load/i;

/**
 * Frames and trailers of a stack trace, the marks under a line of code, and where ggml ends the process for an error
 * that it has told in a line before.
 */
const NOISE =
  /: (CUDA|HIP|ROCm|MUSA) error\s*$|^\s*(at |\^|#?\d+:? |\[0x|[{}[\]();,]+\s*$)|^Node\.js v\d|^\S+(\.so\S*|\.node)\(/;

export class ErrorOutput {
  readonly #log: Pick<Log, 'warn' | 'error'>;
  readonly #lines: string[] = [];

  constructor(log: Pick<Log, 'warn' | 'error'>) {
    this.#log = log;
  }

  write(line: string): void {
    this.remember(line);
    this.#log[isFatal(line) ? 'error' : 'warn']('engine error output', { line });
  }

  /** Takes a line that is in the log already. */
  remember(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.shift();
  }

  /** The line that tells most about the end: the last with which something gave up, else the last that says anything. */
  get lastWords(): string | undefined {
    const telling = this.#lines.filter((line) => !NOISE.test(line));
    return (telling.findLast(isFatal) ?? this.#lines.findLast(isFatal) ?? telling.at(-1))?.trim();
  }
}

function isFatal(line: string): boolean {
  return FATAL.test(line);
}

/**
 * Cuts what a process writes into lines for the log. Keeps the line that has no end yet. Invariant: no more of a line
 * is kept than a log entry can bear, however long it is.
 */

export const MAX_LINE_CHARACTERS = 2000;

export function forEachLine(stream: Readable, take: (line: string) => void): void {
  let line = '';
  let cut = false;
  const add = (piece: string) => {
    const room = MAX_LINE_CHARACTERS - line.length;
    cut ||= piece.length > room;
    line += piece.slice(0, room);
  };
  const end = () => {
    const whole = line.trimEnd();
    if (whole !== '') take(cut ? `${whole}…` : whole);
    line = '';
    cut = false;
  };
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const [first = '', ...rest] = text.split('\n');
    add(first);
    for (const piece of rest) {
      end();
      add(piece);
    }
  });
  stream.on('end', end);
}

/** Where the entries of processes and threads of their own lie. They run as plain JavaScript. */

/** `entry`: relative to the module, ending in `.js`. From `src/` (tests) the one that was built to `dist/` is used. */
export function builtEntry(entry: string, moduleUrl: string): string {
  const path = fileURLToPath(new URL(entry, moduleUrl));
  if (!moduleUrl.endsWith('.ts')) return path;
  const at = path.lastIndexOf('/src/');
  return `${path.slice(0, at)}/dist/${path.slice(at + '/src/'.length)}`;
}
