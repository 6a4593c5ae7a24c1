/**
 * The built executable for tests of what only a process has: started on a port of its own in an empty folder with a clean
 * environment, and surely ended. Owns its process and its folder.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LogLine, LogLines } from './log-lines.ts';
import { ownPort } from './own-port.ts';
import { type RunningServer, type ServerOptions, TEST_ENVIRONMENT, TEST_WORKERS } from './server.ts';

export const EXECUTABLE = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const KILL_AFTER_MS = 10_000;

export interface Ended {
  /** The exit code, or the signal that killed it. */
  readonly exitCode: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Executable extends RunningServer {
  readonly pid: number;
  /** Where it runs. */
  readonly folder: string;
  signal(signal: NodeJS.Signals): void;
  /** Closes the reading end of its standard output. */
  stopReading(): void;
  /** Takes no more of its standard output, which stays open, until it has ended. */
  pauseReading(): void;
  readonly ended: Promise<Ended>;
  /** Sends the signal and resolves with how the process ended. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

/** Starts the server and resolves once it listens. */
export async function startExecutable(options: ExecutableOptions): Promise<Executable> {
  const workers = TEST_WORKERS === 1 ? {} : { LLM_SERVE_SERVER__WORKERS: String(TEST_WORKERS) };
  const environment = { ...workers, ...options.environment };
  const own = await ownPort(options.endsWith);
  const run = new Run(['--port', String(own), ...(options.flags ?? [])], { ...options, environment });
  const outcome = await Promise.race([run.logged((line) => line.msg.includes(' listens on ')), run.ended]);
  if ('exitCode' in outcome)
    throw new Error(`the server ended with ${outcome.exitCode}: ${outcome.stderr}${outcome.stdout}`);
  const url = outcome.msg.slice(outcome.msg.indexOf('http://'));
  const port = Number(new URL(url).port);
  return {
    url,
    port,
    pid: run.pid,
    folder: run.folder,
    logs: () => run.lines.all,
    logged: (fits) => run.logged(fits),
    requestLine: (requestId) => run.lines.ofRequest(requestId, run.ended),
    signal: (signal) => run.signal(signal),
    stopReading: () => run.stopReading(),
    pauseReading: () => run.pauseReading(),
    ended: run.ended,
    stop: (signal = 'SIGTERM') => {
      run.signal(signal);
      return run.ended;
    },
  };
}

export type Command = Pick<Executable, 'pid' | 'logged' | 'signal' | 'stopReading' | 'ended'>;

/** Starts a command that something is to happen to before it ends. */
export function startCommand(args: readonly string[], options: CommandOptions): Command {
  const run = new Run(args, options);
  return {
    pid: run.pid,
    logged: (fits) => run.logged(fits),
    signal: (signal) => run.signal(signal),
    stopReading: () => run.stopReading(),
    ended: run.ended,
  };
}

export interface ExecutableOptions extends ServerOptions {
  /** The entry of another build; absent: the one that is tested. */
  readonly program?: string;
}

/** What a command reads from its standard input, which ends with it; without it there is none. */
export interface CommandOptions extends ExecutableOptions {
  readonly input?: string;
}

/** Runs a command that is expected to end by itself. */
export function runExecutable(args: readonly string[], options: CommandOptions): Promise<Ended> {
  return new Run(args, options).ended;
}

class Run {
  readonly lines = new LogLines();
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly folder = mkdtempSync(join(tmpdir(), 'llm-serve-test-'));
  #stdout = '';
  #stderr = '';
  #unread = '';

  constructor(
    args: readonly string[],
    { configFile, environment, endsWith, input, program = EXECUTABLE }: CommandOptions,
  ) {
    if (configFile !== undefined) writeFileSync(join(this.folder, 'llm-serve.yaml'), configFile);
    this.#child = spawn(process.execPath, [program, ...args], {
      cwd: this.folder,
      env: { ...cleanEnvironment(this.folder), ...environment },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    this.#child.stdin?.end(input);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        rmSync(this.folder, { recursive: true, force: true });
        resolve({ exitCode: code ?? signal ?? 'SIGKILL', stdout: this.#stdout, stderr: this.#stderr });
      });
    });
    endsWith(() => this.#end());
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  stopReading(): void {
    this.#child.stdout?.destroy();
  }

  pauseReading(): void {
    this.#child.stdout?.pause();
    this.#child.once('exit', () => this.#child.stdout?.resume());
  }

  logged(fits: (line: LogLine) => boolean): Promise<LogLine> {
    return this.lines.find(fits, this.ended);
  }

  #read(text: string): void {
    this.#stdout += text;
    const parts = (this.#unread + text).split('\n');
    this.#unread = parts.pop() ?? '';
    for (const part of parts) if (part.startsWith('{"')) this.lines.add(JSON.parse(part) as LogLine);
  }

  async #end(): Promise<void> {
    this.#child.kill('SIGTERM');
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MS);
    await this.ended;
    clearTimeout(kill);
  }
}

/** Nothing of the machine's own settings gets in; the libraries' folders are inside the test's. */
function cleanEnvironment(folder: string): Record<string, string> {
  const { PATH = '' } = process.env;
  return {
    PATH,
    HOME: folder,
    XDG_CACHE_HOME: join(folder, 'cache'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    ...TEST_ENVIRONMENT,
  };
}
