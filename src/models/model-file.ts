/** Checks a model file as far as that can be told without the engine, so that each fault has a message of its own. */
import { resolve } from 'node:path';
import { ServingError } from '../core/errors.ts';
import { GgufError, type GgufHeader, readGgufHeader } from './gguf-header.ts';

export interface ModelFile {
  readonly path: string;
  readonly header: GgufHeader;
}

/** The file under its absolute path. Throws ServingError('model_not_found') naming the file, the fault and the way out. */
export async function readModelFile(path: string): Promise<ModelFile> {
  const absolute = resolve(path);
  try {
    return { path: absolute, header: await readGgufHeader(absolute) };
  } catch (error) {
    const what = error instanceof GgufError ? error.message : whyNotReadable(error);
    throw new ServingError('model_not_found', {
      message: `The model file ${absolute} ${what}. ${whatToDo(what)}`,
      cause: error,
    });
  }
}

function whyNotReadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  return `cannot be read (${code ?? String(error)})`;
}

function whatToDo(what: string): string {
  if (/^is (cut off|damaged|empty)/.test(what))
    return 'Fetch it anew, or give another GGUF file, or a name from `llm-serve models list`.';
  if (/version/.test(what)) return 'Convert it with a current llama.cpp, or fetch a newer release of it.';
  return 'Give the path of a GGUF file, or a name from `llm-serve models list`.';
}
