/** Reads the configuration for a command: its flags, the environment and the file; and what of it may be shown. */

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { CONFIG_FILE, defaultCacheDirectory, readEnvironment } from '../config/environment.ts';
import { type ConfigFile, type LoadedConfig, loadConfig } from '../config/load.ts';
import { parseReference } from '../models/names.ts';

export function readConfig(flags: Flags): LoadedConfig {
  return configOf(flags, readConfigFile(flags));
}

/** Null: there is none. */
export function readConfigFile(flags: Flags): ConfigFile | null {
  const name = configFileOf(flags);
  if (name === undefined) return null;
  return { name, text: orUnreadable(name, () => readFileSync(name, 'utf8')) };
}

/** The same, while a server runs: a slow disk does not stop it. */
export async function readConfigFileAgain(name: string | undefined): Promise<ConfigFile | null> {
  if (name === undefined) return null;
  const text = await readFile(name, 'utf8').catch((error: unknown) =>
    orUnreadable(name, () => {
      throw error;
    }),
  );
  return { name, text };
}

/** Undefined: there is none. */
export function configFileOf(flags: Flags): string | undefined {
  return flags.config ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined);
}

export function configOf(flags: Pick<Flags, 'values'>, file: ConfigFile | null): LoadedConfig {
  const loaded = acceptedConfigOf(flags, file);
  checkAllowedFolders(loaded.config);
  return loaded;
}

/** Of a file that was accepted before: where links on the disk lead by now does not matter. */
export function acceptedConfigOf({ values }: Pick<Flags, 'values'>, file: ConfigFile | null): LoadedConfig {
  return loadConfig({ flags: values, environment: readEnvironment(), ...(file !== null && { file }) });
}

function orUnreadable(name: string, read: () => string): string {
  try {
    return read();
  } catch (error) {
    throw new ConfigError(
      `--config is ${JSON.stringify(name)}, but that file cannot be read: ${(error as Error).message}`,
    );
  }
}

/** The flags of one command line. */
export interface Flags {
  /** `--config FILE` */
  readonly config: string | undefined;
  /** By setting key (`server.port`) or shortcut name (`backend`). */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}

/** Applies `cache.allowed_folders` to the embedded engine's targets. Not in config/, as it follows links on the disk. */
function checkAllowedFolders({ cache, models }: Config): void {
  if (cache.allowed_folders.length === 0) return;
  const folders = [...cache.allowed_folders, cache.directory ?? defaultCacheDirectory()];
  for (const [modelIndex, { targets }] of models.entries()) {
    for (const [index, { definition, values }] of targets.entries()) {
      const reference = definition.embedded ? parseReference(values.model) : undefined;
      if (reference?.kind !== 'path') continue;
      const outside = outsideOf(folders, reference.path);
      if (outside === undefined) continue;
      throw new ConfigError(
        `models[${modelIndex}].targets[${index}].model is ${JSON.stringify(values.model)}, which leads to ${outside}, ` +
          `but cache.allowed_folders permits model files in ${folders.join(', ')} only.`,
      );
    }
  }
}

/** Where the path leads through all links, if that is outside of all folders; undefined where it is inside. */
function outsideOf(folders: readonly string[], path: string): string | undefined {
  const real = realPath(path);
  return folders.some((folder) => isInside(realPath(folder), real)) ? undefined : real;
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Links resolved as far as the path exists. */
function realPath(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(realPath(parent), basename(absolute));
  }
}
