/** The models of a running server, as commands that chat need them. */
import { ConfigError } from '../config/config-error.ts';
import { nearest } from './nearest-name.ts';
import { RemoteError, type RemoteServer } from './remote.ts';

const MODELS_PATH = '/v1/models';
const NOT_FOUND = 404;

/** Names and aliases, in the server's order. */
export async function servedModels(server: RemoteServer): Promise<readonly string[]> {
  const { data = [] } = Object(await server.json(MODELS_PATH)) as {
    readonly data?: { readonly id: string }[];
  };
  return data.map(({ id }) => id);
}

/** By the server's own rules: also in other spellings of a name that it takes. */
export async function isServed(server: RemoteServer, name: string): Promise<boolean> {
  const path = name.split('/').map(encodeURIComponent).join('/');
  try {
    await server.json(`${MODELS_PATH}/${path}`);
    return true;
  } catch (error) {
    if (error instanceof RemoteError && error.status === NOT_FOUND) return false;
    throw error;
  }
}

export function unknownModelText(name: string, served: readonly string[]): string {
  const meant =
    nearest(name.toLowerCase(), served) ??
    served.find((each) => each.startsWith(name) || name.startsWith(each));
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
  return `The server has no model ${JSON.stringify(name)}.${hint} Its models: ${served.join(', ')}.`;
}

export async function requireServed(server: RemoteServer, name: string): Promise<void> {
  if (!(await isServed(server, name)))
    throw new ConfigError(unknownModelText(name, await servedModels(server)));
}
