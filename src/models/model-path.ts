/** Tells a path from a catalogue name, and a model file from anything else. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ServingError } from '../core/errors.ts';

const GGUF_MAGIC = 'GGUF';

export function isModelPath(model: string): boolean {
  return /[/\\]/.test(model) || model.toLowerCase().endsWith('.gguf');
}

/** The absolute path of a file that begins as a GGUF file does. Throws ServingError('model_not_found'). */
export async function checkModelFile(path: string): Promise<string> {
  const absolute = resolve(path);
  let beginning: string;
  try {
    const file = await open(absolute);
    try {
      const found = await file.stat();
      if (!found.isFile()) throw unusable(absolute, 'is not a file');
      if (found.size === 0) throw unusable(absolute, 'is empty');
      const { buffer, bytesRead } = await file.read(Buffer.alloc(GGUF_MAGIC.length), 0, GGUF_MAGIC.length, 0);
      beginning = buffer.toString('latin1', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof ServingError) throw error;
    throw unusable(absolute, whyNotReadable(error), error);
  }
  if (beginning !== GGUF_MAGIC) throw unusable(absolute, 'is not a GGUF file');
  return absolute;
}

function whyNotReadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  return `cannot be read (${code ?? String(error)})`;
}

function unusable(path: string, what: string, cause?: unknown): ServingError {
  return new ServingError('model_not_found', {
    message: `The model file ${path} ${what}. Give the path of a GGUF file, or a name from \`llm-serve models list\`.`,
    cause,
  });
}
