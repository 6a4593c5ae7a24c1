/** What is in the cache, and how it leaves it. */
import { rm, stat } from 'node:fs/promises';
import { type CacheState, cachePaths } from './cached-file.ts';
import { MODELS, type ModelEntry } from './catalog.ts';
import { requireEntry } from './fetch.ts';

export interface ModelListing {
  readonly entry: ModelEntry;
  readonly path: string;
  /** By size alone, so that listing is quick; a start checks the whole file. */
  readonly state: CacheState;
}

export async function listModels(cacheDirectory: string): Promise<readonly ModelListing[]> {
  return Promise.all(MODELS.map((entry) => listModel(entry, cacheDirectory)));
}

export async function listModel(entry: ModelEntry, cacheDirectory: string): Promise<ModelListing> {
  const { model: path } = cachePaths(entry, cacheDirectory);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return { entry, path, state: 'absent' };
  const state = found.isFile() && found.size === entry.sizeBytes ? 'present' : 'damaged';
  return { entry, path, state };
}

/** What was removed, or that there was nothing. Throws ServingError('model_not_found') for an unknown name. */
export async function removeModel(name: string, cacheDirectory: string): Promise<ModelListing> {
  const entry = requireEntry(name);
  const listing = await listModel(entry, cacheDirectory);
  const { model, stamp } = cachePaths(entry, cacheDirectory);
  await rm(model, { force: true, recursive: true });
  await rm(stamp, { force: true });
  return listing;
}
