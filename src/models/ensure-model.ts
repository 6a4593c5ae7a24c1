/** From what a model is called to a file that the engine can be given: fetched where need be, and checked. */
import { type EnsureModelOptions, ensureFile } from './fetch.ts';
import { readModelFile } from './model-file.ts';
import { parseReference } from './reference.ts';
import { remoteFileOf } from './remote-file.ts';

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
