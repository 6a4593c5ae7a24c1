/** The name that a command was given. A wrong one is wrong usage. */
import { ConfigError } from '../../config/config-error.ts';
import { type ModelReference, parseReference } from '../../models/reference.ts';

export function readName(name: string): ModelReference {
  try {
    return parseReference(name);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}
