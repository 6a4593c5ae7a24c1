/**
 * One run of the engine's process: starts it, passes messages, writes its output to the log, and ends it. Owns the child
 * process and the last lines of its error output. Invariant: `onExit` is called exactly once, whatever ended the
 * process, and no message comes after it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { builtEntry } from '../../core/built-entry.ts';
import type { Clock, Milliseconds } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { FromEngine, ToEngine } from './messages.ts';

const KILL_AFTER_MS: Milliseconds = 2000;
/** A process that a driver or a dead disk holds inside the kernel survives even SIGKILL: nothing waits for it longer. */
const GIVE_UP_AFTER_MS: Milliseconds = 3000;
/** Its last lines are read to their end, unless a process that it started holds them open. */
const LAST_LINES_TIMEOUT_MS: Milliseconds = 500;

export interface EngineEnd {
  /** A clause: "it was ended by SIGSEGV". */
  readonly how: string;
  /** The most telling line of its error output. */
  readonly lastWords: string | undefined;
}

interface EngineProcessOptions {
  /** The engine's compiled entry. */
  readonly enginePath: string;
  /** The process gets those of its variables that a native library may need. */
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
      // Nothing is ever written to its standard input: when it closes, the engine knows that this process has ended.
      stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    });
    this.#child.stdin?.on('error', () => {});
    const errors = new ErrorOutput(log);
    if (this.#child.stdout) forEachLine(this.#child.stdout, (line) => log.debug('engine output', { line }));
    if (this.#child.stderr) forEachLine(this.#child.stderr, (line) => errors.write(line));
    this.#child.on('message', (message) => {
      const received = message as FromEngine;
      // The native library reports its errors to its logger, not to standard error.
      if (received.type === 'log' && received.level === 'error') errors.remember(received.message);
      if (this.#killedBecause === undefined) onMessage(received);
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

  /** Ends it at once; messages that are still on their way are dropped. `because`: a clause for `onExit`. */
  kill(because: string): void {
    this.#killedBecause ??= because;
    this.#child.kill('SIGKILL');
  }

  /** Asks it to end, and kills it after two seconds. Settles when the process is gone, or cannot be ended. */
  async end(): Promise<void> {
    this.send({ type: 'shutdown' });
    const enforce = this.#clock.schedule(KILL_AFTER_MS, () => this.#child.kill('SIGKILL'));
    let stopWaiting = () => {};
    const givenUp = new Promise<void>((resolve) => {
      const timer = this.#clock.schedule(GIVE_UP_AFTER_MS, () => {
        this.#log.error('engine process cannot be ended', { pid: this.pid });
        resolve();
      });
      stopWaiting = () => timer.cancel();
    });
    await Promise.race([this.#exited, givenUp]);
    stopWaiting();
    enforce.cancel();
  }

  #whenEnded(): Promise<string> {
    const child = this.#child;
    return new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const how = this.#killedBecause ?? describeEnd(code, signal);
        const settle = () => {
          timeout.cancel();
          resolve(how);
        };
        const timeout = this.#clock.schedule(LAST_LINES_TIMEOUT_MS, settle);
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
  return fileURLToPath(builtEntry('./engine/main.js', import.meta.url));
}

/** Search paths, temporary folders, locale, and variables of GPU drivers; no keys, none of our own settings. */
const INHERITED =
  /^(PATH|HOME|USER|USERPROFILE|SYSTEMROOT|WINDIR|TMPDIR|TEMP|TMP|LANG|LC_.*|TZ|LD_LIBRARY_PATH|DYLD_.*|XDG_.*|CUDA_.*|NVIDIA_.*|GGML_.*|VK_.*|HIP_.*|ROCR_.*|HSA_.*|OMP_.*)$/i;

function inheritedFrom(environment: EngineProcessOptions['environment']): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => INHERITED.test(name)));
}

const LINES_KEPT = 20;

/** Lines with which ggml, the C++ runtime, the C library, GPU drivers and Node end a process. */
const FATAL =
  /GGML_(ASSERT|ABORT)|ggml_abort|terminate called|what\(\):|assertion .*failed|fatal|segmentation fault|\baborted\b|stack smashing|double free|corrupt|invalid pointer|panic|out of memory|bad_alloc|(CUDA|HIP|Vulkan|vk::\w+) ?error|^\s*\w*Error\b.*:|^Failed to load/i;

/**
 * Lines that explain nothing: frames and trailers of a stack trace, the marks under a line of code, and the place where
 * ggml ends the process for an error that it has named in a line before.
 */
const NOISE =
  /: (CUDA|HIP|ROCm|MUSA) error\s*$|^\s*(at |\^|#?\d+:? |\[0x|[{}[\]();,]+\s*$)|^Node\.js v\d|^\S+(\.so\S*|\.node)\(/;

/** The error output of an engine: native code writes most of it, and most of it just before the process dies. */
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

  /** For a line that is in the log already. */
  remember(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.shift();
  }

  /** The line that explains the end best: the last fatal one, otherwise the last that is no noise. */
  get lastWords(): string | undefined {
    const meaningful = this.#lines.filter((line) => !NOISE.test(line));
    return (meaningful.findLast(isFatal) ?? this.#lines.findLast(isFatal) ?? meaningful.at(-1))?.trim();
  }
}

function isFatal(line: string): boolean {
  return FATAL.test(line);
}

export const MAX_LINE_CHARACTERS = 2000;

/** Cuts output into lines for the log. A longer line is truncated as it comes, so no more of it is ever kept. */
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
