/** A command on a terminal of its own, which `script` (util-linux) gives it: keys are typed, and what is shown is read. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const EXECUTABLE = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const SHOWN_WITHIN_MS = 120_000;

export const NO_TERMINALS = 'there is no executable script (util-linux)';
export const hasTerminals =
  process.platform === 'linux' && spawnSync('script', ['--version'], { stdio: 'ignore' }).status === 0;

export const KEYS = { ctrlC: '\u0003', ctrlD: '\u0004', enter: '\r', up: '\u001b[A', tab: '\t' } as const;

export interface PseudoTerminal {
  /** The command's home, and its working directory. */
  readonly folder: string;
  type(text: string): void;
  /** Resolves once the text is shown, with all from where the last call ended up to its end. */
  shows(text: string): Promise<string>;
  readonly exitCode: Promise<number | null>;
}

interface TerminalOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** A home that other commands have used. */
  readonly folder?: string;
}

/** Runs `llm-serve` with these words. It is ended with the test. */
export function onTerminal(words: readonly string[], options: TerminalOptions = {}): PseudoTerminal {
  const folder = options.folder ?? newFolder();
  const command = [process.execPath, EXECUTABLE, ...words].map((word) => `'${word}'`).join(' ');
  const { PATH = '' } = process.env;
  const child = spawn('script', ['-qefc', `stty cols 80 rows 24; exec ${command}`, '/dev/null'], {
    cwd: folder,
    env: { PATH, HOME: folder, TERM: 'xterm', SHELL: '/bin/sh', ...options.environment },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let shown = '';
  let look = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    look();
  });
  const exitCode = new Promise<number | null>((resolve) => child.once('close', resolve));
  onTestFinished(async () => {
    // Its terminal is gone then, which ends the command.
    child.kill('SIGKILL');
    await exitCode;
  });
  return {
    folder,
    type: (text) => void child.stdin.write(text),
    shows: (text) =>
      new Promise((resolve, reject) => {
        const settle = (settled: () => void) => {
          clearTimeout(limit);
          look = () => {};
          settled();
        };
        const fail = () => settle(() => reject(new Error(`${JSON.stringify(text)} was not shown: ${shown}`)));
        const limit = setTimeout(fail, SHOWN_WITHIN_MS);
        look = () => {
          const at = shown.indexOf(text);
          if (at === -1) return;
          const upTo = shown.slice(0, at + text.length);
          shown = shown.slice(upTo.length);
          settle(() => resolve(upTo));
        };
        look();
        void exitCode.then(fail);
      }),
    exitCode,
  };
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
