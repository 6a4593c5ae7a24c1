/** The only place that reads the process environment. */
import { homedir } from 'node:os';
import { join } from 'node:path';

export function readEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** `llm-serve/models` in the XDG cache folder. */
export function defaultCacheDirectory(): string {
  const { XDG_CACHE_HOME } = process.env;
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'llm-serve', 'models');
}
