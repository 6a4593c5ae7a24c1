/** `llm-serve models list|pull|remove`: the model files of the embedded engine. */
import { ConfigError } from '../config/config-error.ts';
import { defaultCacheDirectory } from '../config/environment.ts';
import { ensureModel, requireEntry } from '../models/fetch.ts';
import { listModels as listCached, removeModel } from '../models/list.ts';
import { openLog } from '../telemetry/log.ts';
import { downloadReporter } from './download-progress.ts';
import type { Flags } from './flags.ts';
import { readConfig } from './read-config.ts';

export async function listModels(flags: Flags): Promise<number> {
  for (const { entry, path, state } of await listCached(cacheDirectoryOf(flags))) {
    const size = `${(entry.sizeBytes / 1e6).toFixed(1)} MB`;
    print(
      `${entry.name}  ${size}  ${entry.license}  ${state === 'absent' ? 'not fetched' : `${state}: ${path}`}`,
    );
  }
  return 0;
}

export async function pullModel(name: string, flags: Flags): Promise<number> {
  requireKnown(name);
  const { config } = readConfig(flags);
  const log = openLog({ ...config.logging, isTerminal: process.stdout.isTTY === true });
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const path = await ensureModel(name, {
    cacheDirectory: cacheDirectoryOf(flags),
    signal: interrupted.signal,
    log,
    onProgress: downloadReporter({ log, terminal: process.stderr }),
  });
  await log.close();
  print(path);
  return 0;
}

export async function removeCachedModel(name: string, flags: Flags): Promise<number> {
  requireKnown(name);
  const { path, state } = await removeModel(name, cacheDirectoryOf(flags));
  print(state === 'absent' ? `${name} was not fetched` : `removed ${path}`);
  return 0;
}

/** A wrong name is wrong usage. */
function requireKnown(name: string): void {
  try {
    requireEntry(name);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

function cacheDirectoryOf(flags: Flags): string {
  return readConfig(flags).config.cache.directory ?? defaultCacheDirectory();
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
