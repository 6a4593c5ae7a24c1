/** `llm-serve models remove`: deletes a file from the folder for models, and nothing outside of it. */
import { removeModel } from '../../models/removal.ts';
import type { Flags } from '../flags.ts';
import { cacheDirectoryOf } from './cache-directory.ts';
import { readName } from './name-argument.ts';
import { printLine } from './print.ts';

export async function removeCachedModel(name: string, flags: Flags): Promise<number> {
  readName(name);
  const { path, removed } = await removeModel(name, cacheDirectoryOf(flags));
  const text = {
    file: `removed ${path}`,
    partial: `removed what was there of ${path}`,
    nothing: `${name} was not fetched`,
  };
  printLine(text[removed]);
  return 0;
}
