/**
 * Every setting of the schema with its three names: the path in the file, the flag, the environment variable. The only place that
 * reads the process environment.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { SchemaNode } from '../schema/schema.ts';
import { ConfigSchema } from './schema.ts';

export interface Setting {
  /** `scheduler.max_batch_size` */
  readonly key: string;
  readonly path: readonly string[];
  /** `--scheduler.max-batch-size` */
  readonly flag: string;
  /** `LLM_SERVE_SCHEDULER__MAX_BATCH_SIZE` */
  readonly variable: string;
  readonly schema: SchemaNode;
}

export const VARIABLE_PREFIX = 'LLM_SERVE_';

/** Shortcuts for a single model: they replace `models` by one entry. */
export const SHORTCUTS = ['backend', 'url', 'model'] as const;
export type Shortcut = (typeof SHORTCUTS)[number];

export function shortcutVariable(shortcut: Shortcut): string {
  return `${VARIABLE_PREFIX}${shortcut.toUpperCase()}`;
}

export const SETTINGS: readonly Setting[] = collect(ConfigSchema as SchemaNode, []);

function collect(node: SchemaNode, path: readonly string[]): Setting[] {
  if (node.properties) {
    return Object.entries(node.properties).flatMap(([name, child]) => collect(child, [...path, name]));
  }
  return [
    {
      key: path.join('.'),
      path,
      flag: `--${path.join('.').replaceAll('_', '-')}`,
      variable: VARIABLE_PREFIX + path.map((name) => name.toUpperCase()).join('__'),
      schema: node,
    },
  ];
}

export function readEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** Where the commands that use a running server find it; no settings of a server. */
export const remoteVariables = { server: `${VARIABLE_PREFIX}SERVER`, key: `${VARIABLE_PREFIX}KEY` } as const;

export interface RemoteDefaults {
  readonly server: string | undefined;
  readonly key: string | undefined;
}

/** An empty variable counts as not set. */
export function remoteDefaults(): RemoteDefaults {
  const { [remoteVariables.server]: server, [remoteVariables.key]: key } = process.env;
  return { server: server || undefined, key: key || undefined };
}

/** `llm-serve/models` in the XDG cache folder. */
export function defaultCacheDirectory(): string {
  const { XDG_CACHE_HOME } = process.env;
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'llm-serve', 'models');
}

/** `llm-serve` in the XDG state folder: what commands remember for the user. */
export function stateDirectory(): string {
  const { XDG_STATE_HOME } = process.env;
  return join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'llm-serve');
}

/** What the user's terminal may be sent. https://no-color.org */
export function terminalTakesStyles(): boolean {
  const { NO_COLOR, TERM } = process.env;
  return !NO_COLOR && TERM !== 'dumb';
}
