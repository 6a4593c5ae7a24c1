/** Lists, locates and removes what is in the model folder. Reads sizes and headers only, so that it is quick. */
import { lstat, readdir, realpath, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ServingError } from '../core/errors.ts';
import { type CachePaths, cachePaths, readStamp, removePartial, type Stamp } from './cache.ts';
import { type Ability, MODELS, type ModelEntry } from './catalog.ts';
import { isHeld } from './file-lock.ts';
import { readGgufHeader } from './gguf.ts';
import { describeGguf } from './model-file.ts';
import { type ModelReference, parseReference, remoteFileOf } from './names.ts';

export interface ModelListing {
  readonly name: string;
  readonly inCatalogue: boolean;
  readonly path: string;
  /** By size and header alone; a start verifies the whole file. */
  readonly state: 'present' | 'absent' | 'damaged';
  /** Of the whole file. */
  readonly sizeBytes: number | undefined;
  /** Of an interrupted or running download. */
  readonly partialBytes: number;
  readonly license: string | undefined;
  readonly abilities: readonly Ability[];
  readonly sha256: string | undefined;
  /** The checksum was published; otherwise it is that of the file as it was downloaded. */
  readonly sha256Published: boolean;
}

const ENDING = '.gguf';
const PARTIAL_ENDING = '.gguf.partial';

export async function listModels(cacheDirectory: string): Promise<readonly ModelListing[]> {
  const names = await readdir(cacheDirectory).catch(() => []);
  const known = new Set(MODELS.map(({ fileName }) => fileName));
  const others = new Set(
    names.flatMap((name) => {
      if (name.endsWith(PARTIAL_ENDING)) return [name.slice(0, -PARTIAL_ENDING.length + ENDING.length)];
      return name.toLowerCase().endsWith(ENDING) ? [name] : [];
    }),
  );
  return [
    ...(await Promise.all(MODELS.map((entry) => listEntry(entry, cacheDirectory)))),
    ...(await Promise.all(
      [...others].filter((name) => !known.has(name)).map((name) => listOther(name, cacheDirectory)),
    )),
  ];
}

export async function listEntry(entry: ModelEntry, cacheDirectory: string): Promise<ModelListing> {
  const paths = cachePaths(entry, cacheDirectory);
  const size = await sizeOf(paths.model);
  return {
    name: entry.name,
    inCatalogue: true,
    path: paths.model,
    state: size === undefined ? 'absent' : size === entry.sizeBytes ? 'present' : 'damaged',
    sizeBytes: entry.sizeBytes,
    partialBytes: (await sizeOf(paths.partial)) ?? 0,
    license: entry.license,
    abilities: entry.abilities,
    sha256: entry.sha256,
    sha256Published: true,
  };
}

async function listOther(fileName: string, cacheDirectory: string): Promise<ModelListing> {
  const paths = cachePaths({ fileName }, cacheDirectory);
  const stamp = await readStamp(paths.stamp);
  const size = await sizeOf(paths.model);
  const description = await readGgufHeader(paths.model).then(describeGguf, () => undefined);
  return {
    name: stamp?.name || fileName,
    inCatalogue: false,
    path: join(cacheDirectory, fileName),
    state: size === undefined ? 'absent' : description && agrees(stamp, size) ? 'present' : 'damaged',
    sizeBytes: size,
    partialBytes: (await sizeOf(paths.partial)) ?? 0,
    license: description?.license,
    abilities: description?.abilities ?? [],
    sha256: stamp?.sha256,
    sha256Published: stamp?.published ?? false,
  };
}

/** Without a stamp there is nothing to disagree with. */
function agrees(stamp: Stamp | undefined, size: number): boolean {
  return stamp === undefined || stamp.sizeBytes === size;
}

/** Undefined where there is no such file; -1, which no model has, for what is not a file. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined || found.isFile() ? found?.size : -1;
}

/** The path of a model's file. Throws ServingError('model_not_found') where it has not been downloaded. */
export async function locateModel(reference: ModelReference, cacheDirectory: string): Promise<string> {
  if (reference.kind === 'path') return reference.path;
  const file = remoteFileOf(reference);
  const { model } = cachePaths(file, cacheDirectory);
  if ((await stat(model).catch(() => undefined)) !== undefined) return model;
  throw new ServingError('model_not_found', {
    message: `The model ${file.name} has not been downloaded. Download it with: llm-serve models pull ${file.name}`,
  });
}

interface Removal {
  readonly path: string;
  readonly removed: 'file' | 'partial' | 'nothing';
}

/**
 * Removes a model's file from the model folder, with the files beside it; never anything outside that folder. Throws
 * ServingError('model_not_found') for an unknown name, and ServingError('forbidden') for what must not be removed.
 */
export async function removeModel(model: string, cacheDirectory: string): Promise<Removal> {
  const reference = parseReference(model);
  const fileName =
    reference.kind === 'path'
      ? await fileNameInCache(reference.path, cacheDirectory)
      : remoteFileOf(reference).fileName;
  const paths = cachePaths({ fileName }, cacheDirectory);
  await rejectWhileDownloading(paths);
  // Removes a symbolic link, not its target.
  const found = await lstat(paths.model).catch(() => undefined);
  if (found?.isDirectory())
    throw new ServingError('forbidden', {
      message: `${paths.model} is a folder, not a model file; it was not removed.`,
    });
  await rm(paths.model, { force: true });
  await rm(paths.stamp, { force: true });
  await rm(paths.lock, { force: true });
  const hadPartial = await removePartial(paths);
  return { path: paths.model, removed: found ? 'file' : hadPartial ? 'partial' : 'nothing' };
}

/** A path, or a bare file name as `models list` shows it; the file must be in the model folder itself. */
async function fileNameInCache(path: string, cacheDirectory: string): Promise<string> {
  const fileName = basename(path);
  const folder = await realpath(dirname(resolve(path))).catch(() => undefined);
  const cache = await realpath(cacheDirectory).catch(() => resolve(cacheDirectory));
  const bare = path === fileName && (await lstat(join(cache, fileName)).catch(() => undefined));
  if (fileName.toLowerCase().endsWith('.gguf') && (folder === cache || bare)) return fileName;
  throw new ServingError('forbidden', {
    message: `${resolve(path)} is not a GGUF file in the model folder ${cache}. Only files in that folder can be removed.`,
  });
}

async function rejectWhileDownloading(paths: CachePaths): Promise<void> {
  if (!(await isHeld(paths.lock))) return;
  throw new ServingError('forbidden', {
    message: `${paths.model} is being downloaded. Stop the download first; if it was killed, wait a few seconds.`,
  });
}
