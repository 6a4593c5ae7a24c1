/**
 * Bounds how deeply the JSON is nested that clients and models bring along (schemas, arguments): whoever walks it
 * later may recurse. Itself it does not.
 */
import { invalid } from './invalid.ts';

const MAX_LEVELS = 128;

export function isNestedTooDeeply(value: unknown): boolean {
  let level = [value].filter(holdsValues);
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > MAX_LEVELS) return true;
    level = level.flatMap((holder) => Object.values(holder).filter(holdsValues));
  }
  return false;
}

export function refuseDeepNesting(value: unknown, path: string): void {
  if (!isNestedTooDeeply(value)) return;
  throw invalid(path, `${path} is nested too deeply: at most ${MAX_LEVELS} levels are allowed.`);
}

function holdsValues(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
