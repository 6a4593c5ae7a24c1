/** The usable cores of this very process. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type UsableCores, usableCores } from './usable-cores.ts';

export function coresOfThisProcess(): UsableCores {
  return usableCores({ available: availableParallelism(), readFile });
}

/** Elsewhere than on Linux there are no such files, and no such limits. */
function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
