/** Gathers the sources of the configuration from the process: the file on disk and the environment. */
import { existsSync, readFileSync } from 'node:fs';
import { ConfigError } from '../config/config-error.ts';
import { readEnvironment } from '../config/environment.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { checkAllowedFolders } from './allowed-folders.ts';
import type { Flags } from './flags.ts';

const DEFAULT_FILE = 'llm-serve.yaml';

export function readConfig(flags: Flags): LoadedConfig {
  const environment = readEnvironment();
  const name = flags.config ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  const file = name === undefined ? {} : { file: { name, text: readText(name) } };
  const loaded = loadConfig({ flags: flags.values, environment, ...file });
  checkAllowedFolders(loaded.config);
  return loaded;
}

function readText(name: string): string {
  try {
    return readFileSync(name, 'utf8');
  } catch (error) {
    throw new ConfigError(
      `--config is ${JSON.stringify(name)}, but that file cannot be read: ${(error as Error).message}`,
    );
  }
}
