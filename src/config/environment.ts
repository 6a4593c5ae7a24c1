/** The only place that reads the process environment. Settings of a server get their values through `readEnvironment`. */
import { homedir } from 'node:os';
import { join } from 'node:path';

export const VARIABLE_PREFIX = 'LLM_SERVE_';

/** The configuration of a folder, where no other is named. */
export const CONFIG_FILE = 'llm-serve.yaml';

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

/** `llm-serve` in the XDG data folder: what a server keeps. */
export function defaultDataDirectory(): string {
  const { XDG_DATA_HOME } = process.env;
  return join(XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'llm-serve');
}

/** `llm-serve` in the XDG state folder: what commands remember for the user. */
export function stateDirectory(): string {
  const { XDG_STATE_HOME } = process.env;
  return join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'llm-serve');
}

/** What the user's terminal may be sent. https://no-color.org */
export function terminalTakesStyles(): boolean {
  return !process.env.NO_COLOR && terminalMovesCursor();
}

export function terminalMovesCursor(): boolean {
  return process.env.TERM !== 'dumb';
}
