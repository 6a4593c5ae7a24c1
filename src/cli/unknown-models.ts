/** Whether the models that a key is given are those of the configuration here: the store itself knows none. */
import type { Command } from 'commander';
import { configFileOf, readConfig } from './read-config.ts';
import { flagsOf } from './settings-flags.ts';

/** A sentence about names that may be wrong; undefined: there is nothing to say. `models`: of the key; undefined: all. */
export function unknownModelsText(
  command: Command,
  models: readonly string[] | undefined,
): string | undefined {
  if (models === undefined) return undefined;
  const flags = flagsOf(command);
  if (configFileOf(flags) === undefined)
    return 'Whether its models exist was not checked: there is no configuration file here. GET /v1/models lists those of a server.';
  const known = new Set(readConfig(flags).config.models.flatMap(({ id, aliases }) => [id, ...aliases]));
  const unknown = models.filter((name) => !known.has(name));
  if (unknown.length === 0) return undefined;
  const names = unknown.map((name) => JSON.stringify(name)).join(', ');
  return `Warning: the configuration here has no model ${names}. It has ${[...known].join(', ')}.`;
}
