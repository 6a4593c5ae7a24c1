/** Where the file of a model is, without fetching it. */
import { stat } from 'node:fs/promises';
import { ServingError } from '../core/errors.ts';
import { cachePaths } from './cached-file.ts';
import type { ModelReference } from './reference.ts';
import { remoteFileOf } from './remote-file.ts';

/** Throws ServingError('model_not_found') where it was not fetched. */
export async function locateModel(reference: ModelReference, cacheDirectory: string): Promise<string> {
  if (reference.kind === 'path') return reference.path;
  const file = remoteFileOf(reference);
  const { model } = cachePaths(file, cacheDirectory);
  if ((await stat(model).catch(() => undefined)) !== undefined) return model;
  throw new ServingError('model_not_found', {
    message: `The model ${file.name} is not fetched. Fetch it: llm-serve models pull ${file.name}`,
  });
}
