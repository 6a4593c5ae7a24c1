/** The folder for models that is in force. */
import { defaultCacheDirectory } from '../../config/environment.ts';
import type { Flags } from '../flags.ts';
import { readConfig } from '../read-config.ts';

export function cacheDirectoryOf(flags: Flags): string {
  return readConfig(flags).config.cache.directory ?? defaultCacheDirectory();
}
