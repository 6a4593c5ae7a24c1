/** Removes a model's file from the cache folder with all that lies beside it; nothing outside of that folder. */
import { lstat, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ServingError } from '../core/errors.ts';
import { type CachePaths, cachePaths } from './cached-file.ts';
import { isHeld } from './file-lock.ts';
import { removePartial } from './partial-file.ts';
import { parseReference } from './reference.ts';
import { remoteFileOf } from './remote-file.ts';

export interface Removal {
  readonly path: string;
  readonly removed: 'file' | 'partial' | 'nothing';
}

/** Throws ServingError('model_not_found') for an unknown name, ServingError('forbidden') for what is not to be removed. */
export async function removeModel(model: string, cacheDirectory: string): Promise<Removal> {
  const reference = parseReference(model);
  const fileName =
    reference.kind === 'path'
      ? await fileNameInCache(reference.path, cacheDirectory)
      : remoteFileOf(reference).fileName;
  const paths = cachePaths({ fileName }, cacheDirectory);
  await refuseUnderWay(paths);
  // A link goes, not what it points to.
  const found = await lstat(paths.model).catch(() => undefined);
  if (found?.isDirectory())
    throw new ServingError('forbidden', {
      message: `${paths.model} is a folder, not a model file: it was left alone.`,
    });
  await rm(paths.model, { force: true });
  await rm(paths.stamp, { force: true });
  await rm(paths.lock, { force: true });
  const hadPartial = await removePartial(paths);
  return { path: paths.model, removed: found ? 'file' : hadPartial ? 'partial' : 'nothing' };
}

/** Files lie in the cache folder itself; a path may name one, or a bare name as `models list` shows it. */
async function fileNameInCache(path: string, cacheDirectory: string): Promise<string> {
  const fileName = basename(path);
  const folder = await realpath(dirname(resolve(path))).catch(() => undefined);
  const cache = await realpath(cacheDirectory).catch(() => resolve(cacheDirectory));
  const bare = path === fileName && (await lstat(join(cache, fileName)).catch(() => undefined));
  if (fileName.toLowerCase().endsWith('.gguf') && (folder === cache || bare)) return fileName;
  throw new ServingError('forbidden', {
    message: `${resolve(path)} is not a GGUF file in the folder for models, ${cache}: only what is in there can be removed.`,
  });
}

async function refuseUnderWay(paths: CachePaths): Promise<void> {
  if (!(await isHeld(paths.lock))) return;
  throw new ServingError('forbidden', {
    message: `${paths.model} is being fetched at the moment. End that first, or wait some seconds if it was killed.`,
  });
}
